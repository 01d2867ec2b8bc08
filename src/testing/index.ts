/** A fake server and values of the client, for tests of programs that use it. */

export * as Fake from "./Fake.ts"
export * as ForgeTest from "./ForgeTest.ts"
