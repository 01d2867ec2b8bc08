import { assert, describe, it } from "@effect/vitest"
import { Config, ConfigProvider, DateTime, Duration, Effect, Fiber, Layer, Redacted } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import { Forge, ForgeAdmin, ForgeClient, type Session, SessionInfo, Turn, TurnEvent } from "../src/index.ts"
import { NodeForgeAdmin, NodeForgeClient } from "../src/node/index.ts"
import { layerServer, type Script, ScriptedServer, wellBehaved } from "./support/ScriptedServer.ts"

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
    cancel: Effect.succeed(false),
    state: Effect.never,
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
        const transformClient = HttpClient.mapRequest((request) => {
          seen.push(`${request.method} ${new URL(request.url).pathname} ${request.headers["authorization"]}`)
          return HttpClientRequest.setHeader(request, "x-tenant", "acme")
        })
        yield* Effect.provide(Forge.sessions(), clientOf({ transformClient }))
        const { received } = yield* ScriptedServer
        assert.deepStrictEqual(seen, ["GET /prefix/sessions Bearer cf_token"])
        assert.deepStrictEqual(
          received.map(({ headers, path }) => [path, headers["x-tenant"]]),
          [["/prefix/sessions?include_closed=true", "acme"]]
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
            ...twice("/sessions?include_closed=true", "cf_app"),
            ...twice("/other/sessions?include_closed=true", "cf_other"),
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
