import { assert, describe, it } from "@effect/vitest"
import { ByteSize, Duration, Option } from "effect"
import * as Values from "../../src/cli/Values.ts"

describe("Values", () => {
  it("a span of time is written out, or bare seconds", () => {
    for (const [text, seconds] of [
      ["10 minutes", 600],
      ["1 hour", 3_600],
      ["90", 90],
      ["0.5", 0.5],
      ["0", 0]
    ] as const) {
      assert.strictEqual(Option.getOrUndefined(Option.map(Values.spanOf(text), Duration.toSeconds)), seconds, text)
    }
    for (const text of ["", "soon", "-5", "-5 seconds", "Infinity", "NaN", "10 apples", "1e3", "0x10"]) {
      assert.isTrue(Option.isNone(Values.spanOf(text)), text)
    }
  })

  it("a size is written out, or bare bytes", () => {
    for (const [text, bytes] of [
      ["200MB", 200_000_000],
      ["1 GiB", 1_073_741_824],
      ["12", 12]
    ] as const) {
      assert.strictEqual(Option.getOrUndefined(Option.map(Values.sizeOf(text), ByteSize.toNumberUnsafe)), bytes, text)
    }
    for (const text of ["", "-1", "-1MB", "1.5", "many", "200 apples"]) {
      assert.isTrue(Option.isNone(Values.sizeOf(text)), text)
    }
  })

  it("an address is a host and a port", () => {
    for (const [text, host, port] of [
      ["127.0.0.1:8800", "127.0.0.1", 8800],
      ["localhost:0", "localhost", 0],
      ["[::1]:65535", "::1", 65_535]
    ] as const) {
      assert.deepStrictEqual(Option.getOrUndefined(Values.addressOf(text)), { host, port })
    }
    for (const text of ["", "8800", ":8800", "127.0.0.1", "127.0.0.1:", "a:65536", "::1:80", "[127.0.0.1]:80", "a:b"]) {
      assert.isTrue(Option.isNone(Values.addressOf(text)), text)
    }
  })

  it("only this machine reaches a loopback address", () => {
    const isLoopback = (host: string) => Values.isLoopback({ host, port: 0 })
    for (const host of ["127.0.0.1", "127.1.2.3", "::1", "localhost"]) assert.isTrue(isLoopback(host), host)
    for (const host of ["0.0.0.0", "::", "192.168.1.1", "127.evil.example", "localhost.evil.example"]) {
      assert.isFalse(isLoopback(host), host)
    }
  })
})
