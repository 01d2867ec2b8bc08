import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Logger, ManagedRuntime, Metric, Redacted, References } from "effect"
import { TestClock } from "effect/testing"
import { Forge, ForgeClient, SessionInfo, Telemetry } from "../src/index.ts"
import { NodeForgeClient } from "../src/node/index.ts"
import { layerClients } from "./support/Clients.ts"
import * as Memory from "./support/Memory.ts"
import { layer } from "./support/MemoryServer.ts"
import {
  type Answer,
  created,
  layer as layerOverSocket,
  type Script,
  ScriptedServer,
  wellBehaved
} from "./support/ScriptedServer.ts"

const deletes = ScriptedServer.useSync(({ received }) => received.filter(({ method }) => method === "DELETE").length)

/** A server that answers each DELETE by the script, and every other request normally. */
const closing = (answer: Script): Script => {
  const usual = wellBehaved()
  return (request, nth) => (request.method === "DELETE" ? answer(request, nth) : usual(request, nth))
}

const state = { ...created(1), last_turn_at: null, turn_count: 0, closed_at: null, meta: null, live: true }

/** The warnings logged by an effect. */
const warnings = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const logged: Array<string> = []
    const logger = Logger.make(({ logLevel, message }) => {
      if (logLevel === "Warn") logged.push(String(message))
    })
    return Effect.as(Effect.provideService(effect, References.CurrentLoggers, new Set([logger])), logged)
  })

describe("closing a session", () => {
  it.live("fails when its client has ended, instead of waiting forever", () =>
    Effect.gen(function* () {
      const { url } = yield* ScriptedServer
      const runtime = ManagedRuntime.make(NodeForgeClient.layer({ url, token: Redacted.make("cf_gone"), retry: false }))
      const attach = Forge.attach(SessionInfo.sessionId("s-1"))
      const session = yield* Effect.promise(() => runtime.runPromise(attach))
      yield* Effect.promise(() => runtime.dispose())
      const error = yield* Effect.flip(session.close)
      assert.strictEqual(error._tag, "TransportError")
    }).pipe(
      Effect.provide(layerOverSocket(({ method }) => (method === "GET" ? { json: state } : { json: { ok: true } })))
    )
  )

  it.effect("succeeds on an answer without a body", () =>
    Effect.gen(function* () {
      const logged = yield* warnings(Effect.scoped(Forge.session()))
      assert.deepStrictEqual(logged, [])
      assert.strictEqual(yield* deletes, 1)
    }).pipe(Effect.provide(layer(closing(() => ({ status: 204 })))))
  )

  it.effect("succeeds on an answer with other fields", () =>
    Effect.gen(function* () {
      const logged = yield* warnings(Effect.scoped(Forge.session()))
      assert.deepStrictEqual(logged, [])
    }).pipe(Effect.provide(layer(closing(() => ({ json: { ok: true, already_closed: null } })))))
  )

  // After any of these answers the session may still be open.
  const failedCloses: Record<string, { readonly answer: Answer; readonly expected: object }> = {
    "a 200 that says no": {
      answer: { json: { ok: false, error: "could not close" } },
      expected: { _tag: "TransportError", "reason._tag": "Malformed" }
    },
    "a page of a proxy": {
      answer: { text: "<html>Log in</html>", headers: { "content-type": "text/html" } },
      expected: { _tag: "TransportError", "reason._tag": "Malformed" }
    },
    "a 200 of nothing": { answer: { text: "" }, expected: { _tag: "TransportError", "reason._tag": "Malformed" } },
    "a 404 of a proxy": {
      answer: { status: 404, text: "<html>default backend</html>", headers: { "content-type": "text/html" } },
      expected: { status: 404, "reason._tag": "Unexpected" }
    },
    "a 404 of an unknown route": {
      answer: { status: 404, json: { detail: "Not Found" } },
      expected: { status: 404, "reason.resource": "path" }
    }
  }
  for (const [name, { answer, expected }] of Object.entries(failedCloses)) {
    it.effect(`fails on ${name}, warns at the end of the scope, and can be tried again`, () => {
      let answers = answer
      return Effect.gen(function* () {
        const logged = yield* warnings(
          Forge.withSession({}, (session) =>
            Effect.map(Effect.flip(session.close), (error) => assert.deepNestedInclude(error, expected))
          )
        )
        assert.lengthOf(logged, 1)
        assert.strictEqual(yield* deletes, 2)
        const again = yield* warnings(
          Forge.withSession({}, (session) =>
            Effect.gen(function* () {
              yield* Effect.flip(session.close)
              answers = { json: { ok: true } }
              yield* session.close
            })
          )
        )
        assert.deepStrictEqual(again, [])
        assert.strictEqual(yield* deletes, 4)
      }).pipe(Effect.provide(layer(closing(() => answers))))
    })
  }

  it.effect("warns with the server's message when it fails at the end of the scope", () =>
    Effect.gen(function* () {
      const logged = yield* warnings(Effect.scoped(Forge.session()))
      assert.strictEqual(yield* deletes, 1)
      assert.lengthOf(logged, 1)
      assert.match(logged[0] ?? "", /^session s-1 could not be closed.*: not today$/)
    }).pipe(
      Effect.provide(
        layer(
          closing(() => ({ status: 500, json: { detail: "not today" } })),
          { retry: false }
        )
      )
    )
  )

  it.effect("warns of a failed close of a session whose create was interrupted", () => {
    const release = Deferred.makeUnsafe<void>()
    const usual = wellBehaved()
    const script: Script = async (request, nth) => {
      if (request.method === "DELETE") return { status: 405, json: { detail: "Method Not Allowed" } }
      await Effect.runPromise(Deferred.await(release))
      return usual(request, nth)
    }
    return Effect.gen(function* () {
      const logged = yield* warnings(
        Effect.gen(function* () {
          const fiber = yield* Effect.forkChild(Effect.scoped(Forge.session()))
          yield* ScriptedServer.use(({ arrival }) => arrival(1))
          yield* Fiber.interrupt(fiber)
          yield* Deferred.succeed(release, undefined)
          yield* ScriptedServer.use(({ arrival }) => arrival(2))
        }).pipe(Effect.provide(layer(script)))
      )
      assert.lengthOf(logged, 1)
      assert.include(logged[0] ?? "", "Method Not Allowed")
    })
  })

  const gone = { status: 404, json: { detail: "session not found" } }
  const closes: Record<string, ReadonlyArray<Memory.Answer | "reset">> = {
    gone: [gone],
    "closed without a body": [{ status: 204 }],
    "gone after a broken connection": ["reset", gone]
  }
  for (const [name, answers] of Object.entries(closes)) {
    it.effect(`does not warn when a session whose create was interrupted is ${name}`, () =>
      Effect.gen(function* () {
        const release = yield* Deferred.make<void>()
        const { layer, sent } = Memory.make(({ request }, nth) =>
          request === "POST /sessions"
            ? Effect.as(Deferred.await(release), { json: created(1) })
            : Effect.succeed(answers[nth - 2] ?? "refused")
        )
        const opening = Effect.gen(function* () {
          const fiber = yield* Effect.forkChild(Effect.scoped(Forge.session()), { startImmediately: true })
          yield* Fiber.interrupt(fiber)
          yield* Deferred.succeed(release, undefined)
        })
        const client = yield* warnings(Effect.provide(opening, layerClients("http://forge"))).pipe(
          Effect.provide(layer),
          Effect.forkChild({ startImmediately: true })
        )
        // The pause before the repeat.
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(yield* Fiber.join(client), [])
        assert.strictEqual(sent.length, 1 + answers.length)
      })
    )
  }

  it.effect("does not log an id that looks like a token", () => {
    const answer = { ...created(1), session_id: "cf_canary0123456789abcdef" }
    const script = closing(() => ({ status: 401, json: { detail: "invalid token" } }))
    return Effect.gen(function* () {
      const logged = yield* warnings(Effect.scoped(Forge.session()))
      assert.lengthOf(logged, 1)
      assert.match(logged[0] ?? "", /^a session could not be closed/)
      assert.notInclude(logged[0] ?? "", "canary")
    }).pipe(
      Effect.provide(layer((request, nth) => (request.method === "POST" ? { json: answer } : script(request, nth))))
    )
  })

  const deep = (levels: number): string => `${"[".repeat(levels)}${"]".repeat(levels)}`
  const undecodable: Record<string, { readonly answer: Answer; readonly closed: ReadonlyArray<string> }> = {
    "lacks fields": { answer: { json: { ok: true, session_id: "s-1" } }, closed: ["/sessions/s-1"] },
    "nests too deep before the id": {
      answer: { text: `{"meta": ${deep(100)}, "session_id": "s-1"}` },
      closed: ["/sessions/s-1"]
    },
    "nests deeper than a parser could go": {
      answer: { text: `{"session_id" : "s-1", "meta": ${deep(200_000)}}` },
      closed: ["/sessions/s-1"]
    },
    "is too large": {
      answer: { text: Buffer.alloc(64 * 1024 * 1024 + 1, '{"session_id":"s-1","cwd":"' + "x".repeat(65_536)) },
      closed: ["/sessions/s-1"]
    },
    "is cut off": { answer: { text: '{"ok":true,"session_id":"s-1","cwd":"/w' }, closed: ["/sessions/s-1"] },
    "names another session in its meta": {
      answer: { text: '{"meta": {"session_id": "s-2"}, "agent": "\\"session_id\\":", "session_id": "s-1"' },
      closed: ["/sessions/s-1"]
    },
    "names one in its meta alone": { answer: { json: { ok: true, meta: { session_id: "s-2" } } }, closed: [] },
    "has an id that cannot be one": { answer: { json: { ok: true, session_id: "../healthz" } }, closed: [] },
    "is a page": { answer: { text: '<html><body class="session_id">welcome</body></html>' }, closed: [] },
    "is empty": { answer: { status: 204 }, closed: [] }
  }
  for (const [name, { answer, closed }] of Object.entries(undecodable)) {
    const what = closed.length > 0 ? "closes the session of" : "warns of and counts"
    it.effect(`${what} an answer to a create that cannot be accepted since it ${name}`, () =>
      Effect.gen(function* () {
        const { received, url } = yield* ScriptedServer
        const client = ForgeClient.layer({ url, token: Redacted.make("cf_misshapen") })
        // The client waits for what it does in the background.
        const failing = Effect.flip(Effect.provide(Effect.scoped(Forge.session()), client))
        const logged = yield* warnings(
          Effect.map(failing, (error) =>
            assert.deepNestedInclude(error, { outcome: "acted", "reason._tag": "Malformed" })
          )
        )
        assert.deepStrictEqual(
          received.filter(({ method }) => method === "DELETE").map(({ path }) => path),
          closed
        )
        assert.lengthOf(logged, closed.length > 0 ? 0 : 1)
        const { count } = yield* Metric.value(Telemetry.failedCloses)
        assert.strictEqual(count, closed.length > 0 ? 0 : 1)
      }).pipe(
        Effect.provide(layer(({ method }) => (method === "POST" ? answer : { json: { ok: true } }))),
        Effect.provideService(Metric.MetricRegistry, new Map())
      )
    )
  }

  it.effect("closes many sessions concurrently when their client ends", () => {
    const arrived = Deferred.makeUnsafe<void>()
    let waiting = 0
    const script = closing(async () => {
      // Each is answered when all have been asked for.
      if (++waiting === 5) Deferred.doneUnsafe(arrived, Effect.void)
      await Effect.runPromise(Deferred.await(arrived))
      return { json: { ok: true } }
    })
    return Effect.gen(function* () {
      const { url } = yield* ScriptedServer
      const client = ForgeClient.layer({ url, token: Redacted.make("cf_many") })
      const logged = yield* warnings(
        Effect.scoped(Effect.provide(Effect.all(Array.from({ length: 5 }, () => Forge.session())), client))
      )
      assert.deepStrictEqual(logged, [])
    }).pipe(Effect.provide(layer(script)))
  })

  it.effect("does not need the token to be in memory any more", () =>
    Effect.gen(function* () {
      const { url } = yield* ScriptedServer
      const token = Redacted.make("cf_wiped")
      const program = Effect.scoped(
        Effect.andThen(
          Forge.session(),
          Effect.sync(() => Redacted.wipeUnsafe(token))
        )
      )
      yield* Effect.provide(program, ForgeClient.layer({ url, token }))
      assert.strictEqual(yield* deletes, 1)
    }).pipe(Effect.provide(layer(wellBehaved())))
  )
})
