import { assert, describe, it } from "@effect/vitest"
import { Config, ConfigProvider, DateTime, Duration, Effect, Fiber, Layer, Redacted, Stream } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import { Forge, ForgeAdmin, ForgeClient, type Session, SessionInfo, Turn, TurnEvent, Upload } from "../src/index.ts"
import { NodeForgeAdmin, NodeForgeClient } from "../src/node/index.ts"
import { inspect } from "node:util"
import * as Calls from "./support/Calls.ts"
import { answers } from "./support/Conversation.ts"
import { calls, layerClients } from "./support/Operations.ts"
import { layer, layerServer, type Script, ScriptedServer, start, wellBehaved } from "./support/ScriptedServer.ts"

/** A session made by hand, whose turns repeat their prompts. */
const fakeSession = (turns: Array<string>): Session.Session => {
  const id = SessionInfo.sessionId("fake")
  const info = { id, agent: "fake", model: null, cwd: "/", createdAt: DateTime.makeUnsafe(0) }
  return {
    id,
    info,
    turn: (prompt) =>
      Effect.sync(() => {
        const index = turns.push(prompt)
        const events = [TurnEvent.Text({ content: prompt })]
        return Turn.make({ sessionId: id, index, events, stopReason: "end_turn", duration: Duration.seconds(1) })
      }),
    turnAs: () => Effect.never,
    stream: () => Stream.never,
    cancel: Effect.succeed(false),
    state: Effect.never,
    diff: Effect.never,
    files: { list: () => Effect.never, read: () => Stream.never, write: () => Effect.never },
    close: Effect.void,
    closed: Effect.never
  }
}

describe("ForgeClient", () => {
  it.effect("is replaced by a fake of the one method that a program uses", () =>
    Effect.gen(function* () {
      const turns: Array<string> = []
      const fake = Layer.mock(ForgeClient.ForgeClient, { session: () => Effect.succeed(fakeSession(turns)) })
      const program = Effect.gen(function* () {
        const session = yield* Forge.session({ agent: "claude" })
        const first = yield* session.turn("one")
        const second = yield* session.turn("two")
        return [first.text, second.text, second.index]
      }).pipe(Effect.scoped, Effect.provide(fake))
      assert.deepStrictEqual(yield* program, ["one", "two", 2])
      assert.deepStrictEqual(turns, ["one", "two"])
    })
  )

  describe("transformClient", () => {
    const clientOf = (options: Partial<ForgeClient.Options>) =>
      Layer.unwrap(
        Effect.map(ScriptedServer, ({ url }) =>
          NodeForgeClient.layer({ url: `${url}/prefix`, token: Redacted.make("cf_token"), retry: false, ...options })
        )
      )

    it.live("sees the whole request, and changes it", () =>
      Effect.gen(function* () {
        const seen: Array<string> = []
        let calls = 0
        const transformed = HttpClient.mapRequest((request: HttpClientRequest.HttpClientRequest) => {
          seen.push(`${request.method} ${new URL(request.url).pathname} ${request.headers["authorization"]}`)
          return HttpClientRequest.setHeader(request, "x-tenant", "acme")
        })
        const transformClient = (client: HttpClient.HttpClient) => {
          calls++
          return transformed(client)
        }
        yield* Effect.provide(Forge.sessions(), clientOf({ transformClient }))
        assert.strictEqual(calls, 1)
        const { received } = yield* ScriptedServer
        assert.deepStrictEqual(seen, ["GET /prefix/sessions Bearer cf_token"])
        assert.deepStrictEqual(
          received.map(({ headers, path }) => [path, headers["x-tenant"]]),
          [["/prefix/sessions?include_closed=true&limit=1000", "acme"]]
        )
      }).pipe(Effect.provide(layerServer(() => ({ json: { ok: true, sessions: [], count: 0 } }))))
    )

    it.live("may filter statuses: the response still becomes the error that it is", () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(
          Effect.provide(Forge.sessions(), clientOf({ transformClient: HttpClient.filterStatusOk }))
        )
        assert.deepInclude(error, { _tag: "AuthError", status: 401, message: "invalid token" })
      }).pipe(Effect.provide(layerServer(() => ({ status: 401, json: { detail: "invalid token" } }))))
    )
  })

  describe("layerConfig", () => {
    /** Refuses each call once. */
    const busy: Script = (() => {
      const refused = new Set<string>()
      return ({ method, path }) => {
        if (!refused.has(path)) {
          refused.add(path)
          return { status: 429, json: { detail: "too many requests" } }
        }
        return {
          json: path.includes("admin") ? { ok: true, tokens: [] } : { ok: true, sessions: [], count: 0, method }
        }
      }
    })()

    it.live("takes URL and token from the configuration, and retries from its options", () =>
      Effect.gen(function* () {
        const { received, url } = yield* ScriptedServer
        const environment = ConfigProvider.layer(
          ConfigProvider.fromUnknown({
            CLAWDFORGE_URL: url,
            CLAWDFORGE_TOKEN: "cf_app",
            CLAWDFORGE_ADMIN_TOKEN: "admin",
            OTHER_TOKEN: "cf_other"
          })
        )
        const retry = { times: 1, pause: 1 }
        const sessions = (options: ForgeClient.ConfigOptions) =>
          Forge.sessions().pipe(Effect.provide(Layer.provide(NodeForgeClient.layerConfig(options), environment)))
        yield* sessions({ retry })
        yield* sessions({ token: Config.Redacted("OTHER_TOKEN"), url: Config.succeed(`${url}/other`), retry })
        yield* ForgeAdmin.ForgeAdmin.use((admin) => admin.list).pipe(
          Effect.provide(Layer.provide(NodeForgeAdmin.layerConfig({ retry }), environment))
        )
        const twice = (path: string, token: string) => [
          [path, `Bearer ${token}`],
          [path, `Bearer ${token}`]
        ]
        assert.deepStrictEqual(
          received.map(({ headers, path }) => [path, headers.authorization]),
          [
            ...twice("/sessions?include_closed=true&limit=1000", "cf_app"),
            ...twice("/other/sessions?include_closed=true&limit=1000", "cf_other"),
            ...twice("/admin/tokens", "admin")
          ]
        )
      }).pipe(Effect.provide(layerServer(busy)))
    )
  })

  it.live("closes what is still open when its layer ends before the scope of a session", () =>
    Effect.gen(function* () {
      const { received, url } = yield* ScriptedServer
      const client = NodeForgeClient.layer({ url, token: Redacted.make("cf_token") })
      const session = yield* Effect.provide(Forge.session({ agent: "demo" }), client)
      assert.deepStrictEqual(
        received.map(({ method }) => method),
        ["POST", "DELETE"]
      )
      const closed = yield* Effect.forkChild(session.closed, { startImmediately: true })
      assert.strictEqual(yield* Fiber.join(closed), "client")
    }).pipe(Effect.scoped, Effect.provide(layerServer(wellBehaved())))
  )
})

const token = Redacted.make("cf_test-token")

/** What making a client fails with. */
const refused = (options: ForgeClient.Options) =>
  Effect.flip(Effect.scoped(Layer.build(NodeForgeClient.layer(options))))

const refusedAdmin = (options: ForgeClient.Options) =>
  Effect.flip(Effect.scoped(Layer.build(NodeForgeAdmin.layer(options))))

describe("seed: the address of a server", () => {
  const bad: Record<string, string> = {
    "user info": "http://cf_secret@127.0.0.1:1",
    "user info with a password": "http://me:cf_secret@127.0.0.1:1",
    "a query": "http://127.0.0.1:1/?token=cf_secret",
    "an empty query": "http://127.0.0.1:1/?",
    "a fragment": "http://127.0.0.1:1/#cf_secret",
    "an empty fragment": "http://127.0.0.1:1/#",
    "another protocol": "ftp://cf_secret.example",
    "no protocol": "127.0.0.1:8800/cf_secret",
    "a path alone": "/cf_secret",
    nothing: ""
  }
  for (const [name, url] of Object.entries(bad)) {
    it.effect(`is refused with ${name}, and the error does not repeat it`, () =>
      Effect.gen(function* () {
        for (const error of [yield* refused({ url, token }), yield* refusedAdmin({ url, token })]) {
          assert.deepInclude(error, { _tag: "ApiError", status: 422, outcome: "not-sent" })
          assert.match(error.message, /^url must /)
          assert.notInclude(inspect(error, { depth: Infinity, showHidden: true }), "cf_secret")
        }
      })
    )
  }

  const kept: Record<string, string> = {
    "": "/sessions/s-1",
    "/": "/sessions/s-1",
    "//": "/sessions/s-1",
    "/forge": "/forge/sessions/s-1",
    "/forge/": "/forge/sessions/s-1",
    "/a%20b/c//": "/a%20b/c/sessions/s-1"
  }
  for (const [suffix, path] of Object.entries(kept)) {
    it.live(`keeps its path prefix, without a trailing slash: ${JSON.stringify(suffix)}`, () =>
      Effect.gen(function* () {
        const { received, url } = yield* start(() => ({ json: calls["close"]?.good }))
        for (const given of [`${url}${suffix}`, new URL(`${url}${suffix}`)]) {
          yield* Effect.provide(calls["close"]?.call ?? Effect.void, [
            NodeForgeClient.layer({ url: given, token }),
            NodeForgeAdmin.layer({ url: given, token }),
            Layer.provide(Calls.layer({ url: given, token }), NodeForgeClient.layerHttpClient)
          ])
        }
        assert.deepStrictEqual(
          received.map((one) => one.path),
          [path, path]
        )
      })
    )
  }
})

describe("seed: the token", () => {
  for (const text of [
    "",
    " ",
    "cf_a b",
    " cf_a",
    "cf_a\n",
    "cf_a\r\nX-Evil: 1",
    "cf_a\0",
    "cf_a\u007f",
    "cf_é",
    "cf_\u200b"
  ]) {
    it.effect(`is refused if it cannot be sent in a header: ${JSON.stringify(text)}`, () =>
      Effect.gen(function* () {
        const options = { token: Redacted.make(text) }
        for (const error of [yield* refused(options), yield* refusedAdmin(options)]) {
          assert.deepInclude(error, { _tag: "ApiError", status: 422, outcome: "not-sent" })
          assert.match(error.message, /^token must .*must not hold spaces/)
        }
      })
    )
  }

  it.live("is sent with every call except the health check", () =>
    Effect.gen(function* () {
      for (const [name, { call, good }] of Object.entries(calls)) {
        const { received } = yield* Effect.provide(
          Effect.andThen(call, ScriptedServer),
          layerClients(() => ({ json: good }))
        )
        const admin = ["mint", "tokens", "revoke"].includes(name)
        const bearer = name === "health" ? undefined : `Bearer ${admin ? "admin-token" : "cf_test-token"}`
        assert.deepStrictEqual(
          received.map(({ headers }) => headers.authorization),
          [bearer],
          name
        )
      }
    })
  )

  it.live("is not sent when the client asks whether a server supports idempotency", () =>
    Effect.gen(function* () {
      yield* Forge.withSession({}, (session) => Effect.ignore(session.turn("hello")))
      const { received } = yield* ScriptedServer
      const asked = received.filter(({ path }) => path === "/healthz")
      assert.isNotEmpty(asked)
      for (const { headers } of asked) assert.notProperty(headers, "authorization")
    }).pipe(
      Effect.provide(
        layer((request, nth) => (request.path.endsWith("/turn") ? "reset" : usual(request, nth)), {
          retry: { times: 1, pause: "1 millis" }
        })
      )
    )
  )
  const usual = wellBehaved()

  it.live("is never printed, nor is a file token or an app token", () =>
    Effect.gen(function* () {
      const admin = yield* ForgeAdmin.ForgeAdmin
      const client = yield* ForgeClient.ForgeClient
      const minted = yield* admin.mint("billing")
      const file = yield* Forge.upload(Upload.fromBytes("a", new Uint8Array()))
      const session = yield* Forge.session()
      assert.strictEqual(Redacted.value(minted.token), "cf_minted")
      assert.strictEqual(Redacted.value(file.token), "ff_uploaded")
      for (const value of [minted, file, session, client, admin]) {
        const bare = inspect(value, { customInspect: false, depth: 8, showHidden: true })
        const printed = [bare, inspect(value, { depth: 8 }), JSON.stringify(value)].join()
        assert.notMatch(printed, /cf_|ff_|admin-token/)
      }
    }).pipe(
      Effect.scoped,
      Effect.provide(
        layerClients(
          answers({
            "POST /admin/tokens": { json: { name: "billing", token: "cf_minted", ip_cidrs: null } },
            "POST /files": { json: { file_token: "ff_uploaded", ttl_secs: 60, size: 0 } },
            "POST /sessions": { json: calls["create"]?.good },
            "DELETE /sessions/s-1": { json: { ok: true } }
          })
        )
      )
    )
  )
})

describe("seed: settings from the environment", () => {
  const withEnvironment = (values: Record<string, string>) =>
    Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown(values))

  it.live("are CLAWDFORGE_URL, CLAWDFORGE_TOKEN and CLAWDFORGE_ADMIN_TOKEN", () =>
    Effect.gen(function* () {
      const { received, url } = yield* start(({ path }) => ({
        json: path.includes("/admin") ? calls["tokens"]?.good : calls["list"]?.good
      }))
      const environment = {
        CLAWDFORGE_URL: `${url}/prefix/`,
        CLAWDFORGE_TOKEN: "cf_app",
        CLAWDFORGE_ADMIN_TOKEN: "admin"
      }
      yield* Forge.sessions().pipe(Effect.provide(NodeForgeClient.layerConfig()), withEnvironment(environment))
      yield* ForgeAdmin.ForgeAdmin.use((admin) => admin.list).pipe(
        Effect.provide(NodeForgeAdmin.layerConfig()),
        withEnvironment(environment)
      )
      assert.deepStrictEqual(
        received.map(({ headers, path }) => [path, headers.authorization]),
        [
          ["/prefix/sessions?include_closed=true&limit=1000", "Bearer cf_app"],
          ["/prefix/admin/tokens", "Bearer admin"]
        ]
      )
    })
  )

  it.effect("are named when they are missing, and an invalid value is never printed", () =>
    Effect.gen(function* () {
      const build = Effect.flip(Effect.scoped(Layer.build(NodeForgeClient.layerConfig())))
      const missing = yield* build.pipe(withEnvironment({}))
      assert.instanceOf(missing, Config.ConfigError)
      assert.include(missing.message, "CLAWDFORGE_TOKEN")
      const bad = yield* build.pipe(withEnvironment({ CLAWDFORGE_TOKEN: "cf_secret with a space" }))
      assert.deepInclude(bad, { _tag: "ApiError", status: 422 })
      assert.notInclude(inspect(bad, { depth: 8 }), "cf_secret")
    })
  )
})
