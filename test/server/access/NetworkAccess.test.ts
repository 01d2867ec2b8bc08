import { assert, describe, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import { HttpServerRequest, HttpServerResponse } from "effect/http"
import * as NetworkAccess from "../../../src/server/access/NetworkAccess.ts"
import * as Http from "../../support/Http.ts"
import { call, serve } from "../Support.ts"

const statusOf = Effect.fnUntraced(function* (
  options: NetworkAccess.Options,
  from: { readonly address: string; readonly host?: string; readonly forwarded?: string }
) {
  const check = yield* NetworkAccess.make(options)
  const request = HttpServerRequest.fromWeb(
    new Request("http://x/healthz", {
      headers: {
        ...(from.host === undefined ? {} : { host: from.host }),
        ...(from.forwarded === undefined ? {} : { "x-forwarded-for": from.forwarded })
      }
    })
  ).modify({ peerAddress: Option.some(from.address) })
  const checked = check(request)
  return HttpServerResponse.isHttpServerResponse(checked) ? checked.status : undefined
})

describe("NetworkAccess", () => {
  it.effect("allows only loopback by default", () =>
    Effect.gen(function* () {
      const host = "localhost"
      for (const address of ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"]) {
        assert.isUndefined(yield* statusOf({ host }, { address, host }), address)
      }
      for (const address of ["10.0.0.1", "192.168.1.1", "::ffff:10.0.0.1", "fe80::1", "::", "0.0.0.0", ""]) {
        assert.strictEqual(yield* statusOf({ host }, { address, host }), 403, address)
      }
    })
  )

  it.effect("adds networks to loopback, which stays allowed", () =>
    Effect.gen(function* () {
      const host = "localhost"
      const options = { host, allowedCidrs: ["10.0.0.0/8", "fd00::/8"] }
      for (const address of ["10.1.2.3", "::ffff:10.1.2.3", "fd12::1", "127.0.0.1"]) {
        assert.isUndefined(yield* statusOf(options, { address, host }), address)
      }
      assert.strictEqual(yield* statusOf(options, { address: "11.0.0.1", host }), 403)
      for (const cidr of ["10.0.0.0", "10.0.0.0/33", "10.0.0.0/8x", "x/8", "", "fd00::/129"]) {
        const failed = yield* Effect.flip(NetworkAccess.make({ host, allowedCidrs: [cidr] }))
        assert.strictEqual(failed.message, `"${cidr}" is not a network, such as 10.0.0.0/8`)
      }
    })
  )

  it.effect("trusts X-Forwarded-For only from a trusted proxy", () =>
    Effect.gen(function* () {
      const host = "localhost"
      const forwarded = "127.0.0.1"
      assert.strictEqual(yield* statusOf({ host }, { address: "8.8.8.8", host, forwarded }), 403)
      const options = { host, trustedProxies: ["10.0.0.0/8"] }
      assert.strictEqual(yield* statusOf(options, { address: "8.8.8.8", host, forwarded }), 403)
      assert.isUndefined(yield* statusOf(options, { address: "10.0.0.1", host, forwarded }))
      assert.isUndefined(yield* statusOf(options, { address: "::ffff:10.0.0.1", host, forwarded }))
      // Neither the proxy nor the client that it reports is in an allowed network.
      assert.strictEqual(yield* statusOf(options, { address: "10.0.0.1", host }), 403)
      assert.strictEqual(yield* statusOf(options, { address: "10.0.0.1", host, forwarded: "8.8.8.8" }), 403)
      assert.strictEqual(yield* statusOf(options, { address: "10.0.0.1", host, forwarded: "127.0.0.1, 8.8.8.8" }), 403)
    })
  )

  it.effect("answers 421 unless it is called by one of its names", () =>
    Effect.gen(function* () {
      const address = "127.0.0.1"
      const options = { host: "192.168.1.5", allowedHosts: ["Forge.example"] }
      for (const host of [
        "localhost:8800",
        "LOCALHOST",
        "127.0.0.1:1",
        "[::1]:8800",
        "192.168.1.5",
        "forge.example:1"
      ]) {
        assert.isUndefined(yield* statusOf(options, { address, host }), host)
      }
      for (const host of [
        "evil.example",
        "localhost.evil.example",
        "192.168.1.6",
        "127.0.0.1.evil.example:8800",
        "a@localhost"
      ]) {
        assert.strictEqual(yield* statusOf(options, { address, host }), 421, host)
      }
      assert.strictEqual(yield* statusOf(options, { address }), 421)
      assert.isUndefined(yield* statusOf({ host: "::1" }, { address: "::1", host: "[::1]:8800" }))
    })
  )

  it.live("a health check from this machine by HTTP/1.0, as HAProxy sends it, needs no Host", () =>
    Effect.gen(function* () {
      const { url } = yield* serve()
      const { ask } = Http.raw(url)
      assert.strictEqual((yield* ask("GET /healthz HTTP/1.0"))[0], 200)
      assert.strictEqual((yield* ask("OPTIONS /healthz HTTP/1.0"))[0], 204)
      assert.strictEqual((yield* ask("GET /healthz HTTP/1.1"))[0], 421)
      assert.strictEqual((yield* ask("GET /healthz HTTP/1.0", "host: evil.example"))[0], 421)
      assert.strictEqual((yield* ask("GET /healthz HTTP/1.0", "host:"))[0], 421)
      assert.strictEqual((yield* ask("OPTIONS /readyz HTTP/1.0"))[0], 405)
    }).pipe(Effect.scoped)
  )

  it.live("on every address, may be called by the address of the connection and by no other", () =>
    Effect.gen(function* () {
      const { url } = yield* serve({ host: "0.0.0.0" })
      const { port } = new URL(url)
      const reached = yield* call(`http://127.0.0.2:${port}/healthz`, "GET")
      assert.strictEqual(reached.status, 200)
      const [status] = yield* Http.raw(url).ask("GET /healthz HTTP/1.1", "host: 127.0.0.2")
      assert.strictEqual(status, 421)
    }).pipe(Effect.scoped)
  )
})
