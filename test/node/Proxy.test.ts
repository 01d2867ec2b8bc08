/**
 * Proxies between a program and its server: over real proxies and servers on loopback.
 */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Layer, Redacted } from "effect"
import { createServer } from "node:https"
import type { AddressInfo } from "node:net"
import { getCACertificates, setDefaultCACertificates } from "node:tls"
import { Forge, ForgeAdmin } from "../../src/index.ts"
import { NodeForgeAdmin, NodeForgeClient } from "../../src/node/index.ts"
import * as Proxy from "../../src/node/Proxy.ts"
import { leaks, printsOfCause } from "../support/Canaries.ts"
import * as Certificate from "../support/Certificate.ts"
import { health } from "../support/Clients.ts"
import * as Connections from "../support/Connections.ts"
import * as Proxies from "../support/Proxies.ts"
import { created, layerServer, type Script, ScriptedServer, wellBehaved } from "../support/ScriptedServer.ts"

const token = Redacted.make("cf_test-token")

/** A name that only a proxy resolves, and that is not of this machine. */
const named = (url: string) => url.replace("127.0.0.1", "forge.test")

/** A server below a path. */
const below =
  (prefix: string, script: Script): Script =>
  (request, nth) =>
    script({ ...request, path: request.path.slice(prefix.length) }, nth)

const conversation = Forge.withSession({}, (session) => Effect.all([session.turn("one"), session.turn("two")]))

/** Sets variables of this process's environment while an effect runs. */
const withEnvironment = <A, E, R>(variables: Record<string, string>, effect: Effect.Effect<A, E, R>) =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      const before = { ...process.env }
      Object.assign(process.env, variables)
      return before
    }),
    () => effect,
    (before) =>
      Effect.sync(() => {
        for (const name of Object.keys(variables)) {
          if (before[name] === undefined) delete process.env[name]
          else process.env[name] = before[name]
        }
      })
  )

/** A server over TLS, whose certificate this process trusts. */
const secureServer = Effect.gen(function* () {
  yield* Effect.acquireRelease(
    Effect.sync(() => {
      const before = getCACertificates("default")
      setDefaultCACertificates([...before, Certificate.cert])
      return before
    }),
    (before) => Effect.sync(() => setDefaultCACertificates(before))
  )
  const server = createServer(Certificate, (request, response) => {
    request.resume()
    request.on("end", () => {
      response.setHeader("content-type", "application/json")
      response.end(JSON.stringify(request.method === "POST" ? created(1) : { ...health(), ok: true }))
    })
  })
  yield* Effect.acquireRelease(
    Effect.callback<void>((resume) => {
      server.listen(0, "127.0.0.1", () => resume(Effect.void))
    }),
    () =>
      Effect.callback<void>((resume) => {
        server.closeAllConnections()
        server.close(() => resume(Effect.void))
      })
  )
  return (server.address() as AddressInfo).port
})

describe("a proxy", () => {
  it.live("that is given as a URL is used for a whole conversation, also on loopback, and gets its credentials", () =>
    Effect.gen(function* () {
      const proxy = yield* Proxies.make()
      const { received, url } = yield* ScriptedServer
      const client = NodeForgeClient.layer({
        url: `${url}/team`,
        token,
        proxy: Redacted.make(`http://me:p%40ss@127.0.0.1:${proxy.port}`)
      })
      yield* Effect.provide(conversation, client)
      assert.deepStrictEqual(
        proxy.received,
        ["POST", "POST", "POST", "DELETE"].map(
          (method, nth) => `${method} ${url}/team/sessions${["", "/s-1/turn", "/s-1/turn", "/s-1"][nth]}`
        )
      )
      assert.deepStrictEqual(
        new Set(proxy.credentials),
        new Set([`Basic ${Buffer.from("me:p@ss").toString("base64")}`])
      )
      assert.isBelow(proxy.connections(), 4, "connections are reused")
      assert.lengthOf(received, 4)
      for (const { headers } of received) {
        assert.strictEqual(headers["proxy-authorization"], undefined)
        assert.strictEqual(headers.host, new URL(url).host)
      }
    }).pipe(Effect.provide(Layer.unwrap(Effect.sync(() => layerServer(below("/team", wellBehaved()))))))
  )

  for (const secure of [false, true]) {
    it.live(`${secure ? "over TLS " : ""}tunnels to an https server, which it gives nothing but the name of`, () =>
      Effect.gen(function* () {
        const port = yield* secureServer
        const proxy = yield* Proxies.make({ secure })
        const client = NodeForgeClient.layer({
          url: `https://127.0.0.1:${port}`,
          token,
          proxy: new URL(`${secure ? "https" : "http"}://me@127.0.0.1:${proxy.port}`)
        })
        yield* Effect.provide(Effect.replicateEffect(Forge.health, 5), client)
        assert.deepStrictEqual([...new Set(proxy.received)], [`CONNECT 127.0.0.1:${port}`])
        assert.deepStrictEqual([...new Set(proxy.credentials)], [`Basic ${Buffer.from("me:").toString("base64")}`])
        assert.isBelow(proxy.received.length, 5, "tunnels are reused")
      })
    )
  }

  const refusals = {
    "407": "answered 407, it wants a user name and a password in its URL",
    "502": "answered 502"
  }
  for (const [status, words] of Object.entries(refusals)) {
    it.live(`that refuses a tunnel by ${status} is TransportError Connect, which names it without its password`, () =>
      Effect.gen(function* () {
        const proxy = yield* Proxies.make({ treatment: Number(status) })
        const secret = "Kq7vBz2mXw9pLr4tHn8sDf3gJy6c"
        const client = NodeForgeClient.layer({
          url: "https://forge.test",
          token,
          retry: false,
          proxy: `http://me:${secret}@127.0.0.1:${proxy.port}`
        })
        const exit = yield* Effect.exit(Effect.provide(Forge.run("hello"), client))
        assert.isTrue(Exit.isFailure(exit))
        if (!Exit.isFailure(exit)) return
        assert.deepNestedInclude(Cause.squash(exit.cause), {
          _tag: "TransportError",
          "reason._tag": "Connect",
          outcome: "not-sent",
          message: `no connection to https://forge.test: the proxy http://127.0.0.1:${proxy.port} ${words}`
        })
        assert.deepStrictEqual(leaks(printsOfCause(exit.cause)), [])
        assert.deepStrictEqual(proxy.received, ["CONNECT forge.test:443"])
      })
    )
  }

  it.live("that refuses to forward by 407 has not sent the request; another status may be the server's", () =>
    Effect.gen(function* () {
      const outcomes = yield* Effect.forEach([407, 502], (treatment) =>
        Effect.gen(function* () {
          const proxy = yield* Proxies.make({ treatment })
          const client = NodeForgeClient.layer({
            url: "http://forge.test",
            token,
            retry: false,
            proxy: `http://127.0.0.1:${proxy.port}`
          })
          const error = yield* Effect.flip(Effect.provide(Forge.run("hello"), client))
          assert.deepStrictEqual(proxy.received, ["POST http://forge.test/run?usage=true"])
          return [error._tag, "outcome" in error && error.outcome, error.message.replace(String(proxy.port), "3128")]
        })
      )
      assert.deepStrictEqual(outcomes, [
        [
          "TransportError",
          "not-sent",
          "no connection to http://forge.test: the proxy http://127.0.0.1:3128 answered 407, it wants a user name and a password in its URL"
        ],
        ["ApiError", "unknown", "no"]
      ])
    })
  )

  it.live("that is not there, or cuts its tunnels, is TransportError Connect, and tried again", () =>
    Effect.gen(function* () {
      const port = yield* Connections.abandonedPort
      const cutting = yield* Proxies.make({ treatment: "cut" })
      const through = (port: number, url: string) =>
        Effect.flip(
          Effect.provide(
            Forge.run("hello"),
            NodeForgeClient.layer({ url, token, retry: { times: 1, pause: 1 }, proxy: `http://127.0.0.1:${port}` })
          )
        )
      const none = yield* through(port, "http://forge.test")
      const tunnel = yield* through(port, "https://forge.test")
      const cut = yield* through(cutting.port, "https://forge.test")
      for (const error of [none, tunnel, cut]) {
        assert.deepNestedInclude(error, { _tag: "TransportError", outcome: "not-sent", "reason._tag": "Connect" })
      }
      assert.strictEqual(
        none.message,
        `no connection to http://forge.test through the proxy http://127.0.0.1:${port} (ECONNREFUSED)`
      )
      assert.match(tunnel.message, /^no connection to https:\/\/forge\.test through the proxy .* \(ECONNREFUSED\)$/)
      assert.match(cut.message, /through the proxy http:\/\/127\.0\.0\.1:\d+ \(UND_ERR_\w+\)$/)
      assert.lengthOf(cutting.received, 2)
    })
  )

  it.live("that is no proxy's URL is refused without printing it", () =>
    Effect.forEach(
      ["proxy:3128", "socks5://me:Kq7vBz2mXw9pLr4t@proxy", "http://proxy/path", "Kq7vBz2mXw9pLr4t"],
      (proxy) =>
        Effect.gen(function* () {
          const exit = yield* Effect.exit(Effect.provide(Forge.health, NodeForgeClient.layer({ token, proxy })))
          assert.isTrue(Exit.isFailure(exit))
          if (!Exit.isFailure(exit)) return
          assert.deepInclude(Cause.squash(exit.cause), {
            _tag: "ApiError",
            status: 422,
            message: "proxy must be the http or https URL of a proxy, http://user:password@proxy:3128 for one"
          })
          assert.deepStrictEqual(leaks(printsOfCause(exit.cause)), [])
        })
    )
  )
})

describe("the proxies of the environment", () => {
  it.live("are used where Node or the program says so, by both clients, and by no other", () =>
    Effect.gen(function* () {
      const proxy = yield* Proxies.make()
      const { url } = yield* ScriptedServer
      const options = { url: named(url), token, retry: false } as const
      const variables = { HTTP_PROXY: `http://127.0.0.1:${proxy.port}`, NO_PROXY: "other.test" }
      const list = Effect.provide(
        ForgeAdmin.ForgeAdmin.use((admin) => admin.list),
        NodeForgeAdmin.layer(options)
      )
      const health = (proxy?: Proxy.ProxyOption) =>
        Effect.provide(Forge.health, NodeForgeClient.layer({ ...options, proxy }))
      yield* withEnvironment(variables, health("env"))
      assert.lengthOf(proxy.received, 1)
      yield* withEnvironment({ ...variables, NODE_USE_ENV_PROXY: "1" }, Effect.andThen(health(), list))
      yield* withEnvironment({ ...variables, NODE_OPTIONS: "--use-env-proxy" }, health())
      assert.lengthOf(proxy.received, 4)
      const direct = [
        withEnvironment(variables, health()),
        withEnvironment({ ...variables, NODE_USE_ENV_PROXY: "1" }, health(false)),
        withEnvironment({ ...variables, NO_PROXY: ".test" }, health("env"))
      ]
      for (const call of direct) {
        assert.deepNestedInclude(yield* Effect.flip(call), { "reason._tag": "Connect" })
      }
      assert.lengthOf(proxy.received, 4)
    }).pipe(
      Effect.provide(layerServer(({ path }) => ({ json: path === "/healthz" ? health() : { ok: true, tokens: [] } })))
    )
  )

  it.live("with an unusable URL are refused by the variable's name, without the value", () =>
    Effect.gen(function* () {
      const broken = withEnvironment(
        { HTTPS_PROXY: "Kq7vBz2mXw9pLr4t" },
        Effect.provide(Forge.health, NodeForgeClient.layer({ token, proxy: "env" }))
      )
      const error = yield* Effect.flip(broken)
      assert.match(error.message, /^HTTPS_PROXY must be the http or https URL of a proxy/)
    })
  )

  const variables = { HTTP_PROXY: "http://plain:1", HTTPS_PROXY: "http://secure:2" }
  const choices: ReadonlyArray<readonly [Record<string, string>, string, string | undefined]> = [
    [variables, "http://forge.test", "http://plain:1"],
    [variables, "https://forge.test", "http://secure:2"],
    [{ HTTP_PROXY: "http://plain:1" }, "https://forge.test", undefined],
    [{ ...variables, http_proxy: "http://lower:3" }, "http://forge.test", "http://lower:3"],
    [{ ...variables, http_proxy: "" }, "http://forge.test", undefined],
    [variables, "http://127.0.0.1:8800", undefined],
    [variables, "http://127.8.8.8", undefined],
    [variables, "http://[::1]:8800", undefined],
    [variables, "http://localhost:8800", undefined],
    [variables, "http://me.localhost", undefined],
    [{ ...variables, NO_PROXY: "*" }, "http://forge.test", undefined],
    [{ ...variables, NO_PROXY: "forge.test" }, "http://forge.test:8800", undefined],
    [{ ...variables, NO_PROXY: "a, FORGE.test." }, "http://forge.test", undefined],
    [{ ...variables, NO_PROXY: "forge.test" }, "http://a.forge.test", undefined],
    [{ ...variables, NO_PROXY: ".forge.test" }, "http://a.forge.test.", undefined],
    [{ ...variables, NO_PROXY: "*.forge.test" }, "http://a.forge.test", undefined],
    [{ ...variables, NO_PROXY: "forge.test" }, "http://theforge.test", "http://plain:1"],
    [{ ...variables, NO_PROXY: "forge.test:8800" }, "http://forge.test:8800", undefined],
    [{ ...variables, NO_PROXY: "forge.test:8800" }, "http://forge.test", "http://plain:1"],
    [{ ...variables, NO_PROXY: "forge.test:443" }, "https://forge.test", undefined],
    [{ ...variables, NO_PROXY: "10.0.0.1 [fd00::1]:8800" }, "http://[fd00::1]:8800", undefined],
    [{ ...variables, NO_PROXY: "fd00::1" }, "http://[fd00::1]", undefined],
    [{ ...variables, no_proxy: "", NO_PROXY: "forge.test" }, "http://forge.test", "http://plain:1"]
  ]
  for (const [environment, url, expected] of choices) {
    it.effect(`lead from ${url} to ${expected ?? "none"} with ${JSON.stringify(environment)}`, () =>
      Effect.map(Proxy.make("env", environment), (proxies) =>
        assert.strictEqual(proxies.of(new URL(url))?.origin, expected)
      )
    )
  }
})
