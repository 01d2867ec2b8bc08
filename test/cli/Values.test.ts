import { assert, describe, it } from "@effect/vitest"
import { ByteSize, Duration, Option } from "effect"
import * as Values from "../../src/cli/Values.ts"

describe("Values", () => {
  it("a duration has a unit or is a number of seconds", () => {
    for (const [text, seconds] of [
      ["10 minutes", 600],
      ["1 hour", 3_600],
      ["90", 90],
      ["0.5", 0.5],
      ["0", 0]
    ] as const) {
      assert.strictEqual(Option.getOrUndefined(Option.map(Values.durationOf(text), Duration.toSeconds)), seconds, text)
    }
    for (const text of [
      "",
      "soon",
      "-5",
      "-5 seconds",
      "Infinity",
      "NaN",
      "10 apples",
      "1e3",
      "0x10",
      "10m",
      "3155760001",
      "400000000 days"
    ]) {
      assert.isTrue(Option.isNone(Values.durationOf(text)), text)
    }
  })

  it("a size has a unit or is a number of bytes", () => {
    for (const [text, bytes] of [
      ["200MB", 200_000_000],
      ["1 GiB", 1_073_741_824],
      ["12", 12],
      ["1 PB", 1e15]
    ] as const) {
      assert.strictEqual(Option.getOrUndefined(Option.map(Values.sizeOf(text), ByteSize.toNumberUnsafe)), bytes, text)
    }
    for (const text of ["", "-1", "-1MB", "0", "1.5", "many", "200 apples", "1000000000000001", "10QB"]) {
      assert.isTrue(Option.isNone(Values.sizeOf(text)), text)
    }
  })

  it("a count is a whole number of at least 1", () => {
    for (const [text, count] of [
      ["1", 1],
      ["1000000", 1_000_000]
    ] as const) {
      assert.strictEqual(Option.getOrUndefined(Values.countOf(text)), count)
    }
    for (const text of ["", "0", "-1", "1.5", "1e3", "0x10", "many", "1000001"]) {
      assert.isTrue(Option.isNone(Values.countOf(text)), text)
    }
  })

  it("an address is a host and a port", () => {
    for (const [text, host, port] of [
      ["127.0.0.1:8800", "127.0.0.1", 8800],
      ["LOCALHOST:0", "localhost", 0],
      ["[::1]:65535", "::1", 65_535]
    ] as const) {
      assert.deepStrictEqual(Option.getOrUndefined(Values.addressOf(text)), { host, port })
    }
    for (const text of [
      "",
      "8800",
      ":8800",
      "127.0.0.1",
      "127.0.0.1:",
      "a:65536",
      "::1:80",
      "[127.0.0.1]:80",
      "a:b",
      "a b:80",
      "*:80",
      "-1:80",
      "http://a:80"
    ]) {
      assert.isTrue(Option.isNone(Values.addressOf(text)), text)
    }
  })

  it("a host is a name or an address, and its port is dropped", () => {
    for (const [text, host] of [
      ["Forge.example", "forge.example"],
      ["forge.example:8800", "forge.example"],
      ["10.0.0.5", "10.0.0.5"],
      ["[fd00::1]:80", "[fd00::1]"]
    ] as const) {
      assert.strictEqual(Option.getOrUndefined(Values.hostOf(text)), host)
    }
    for (const text of ["", "http://x", "x/y", "*", "*.x", "a b", "user@x", "x.", ".x", "fd00::1", "x:99999", "x:"]) {
      assert.isTrue(Option.isNone(Values.hostOf(text)), text)
    }
  })

  it("an origin has the form that browsers send", () => {
    for (const text of ["https://app.example", "http://localhost:3000", "http://[::1]:3000"]) {
      assert.isTrue(Option.isSome(Values.originOf(text)), text)
    }
    const others = ["", "banana", "*", "null", "https://x/", "https://x/y", "http://x:80", "https://X", "ftp://x"]
    for (const text of [...others, "https://u@x", "https://x?y", "x:80"]) {
      assert.isTrue(Option.isNone(Values.originOf(text)), text)
    }
  })

  it("loopback addresses are recognised", () => {
    const isLoopback = (host: string) => Values.isLoopback({ host, port: 0 })
    for (const host of ["127.0.0.1", "127.1.2.3", "::1", "localhost"]) assert.isTrue(isLoopback(host), host)
    for (const host of ["0.0.0.0", "::", "192.168.1.1", "127.evil.example", "localhost.evil.example"]) {
      assert.isFalse(isLoopback(host), host)
    }
  })
})
