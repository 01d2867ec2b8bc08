/** What needs Node. */
export * as NodeForgeClient from "./NodeForgeClient.ts"
