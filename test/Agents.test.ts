import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Forge } from "../src/index.ts"
import { health } from "./support/Clients.ts"
import { answers, conversation } from "./support/Conversation.ts"
import { layer } from "./support/MemoryServer.ts"
import { created } from "./support/ScriptedServer.ts"

const noClaude = {
  status: 422,
  json: { detail: [{ loc: ["body", "agent"], msg: "there is no such agent", type: "value_error" }] }
}
const sessions = { "POST /sessions": [noClaude, { json: { ...created(1), agent: "demo" } }] }

describe("the agents of a server", () => {
  it.effect("are listed with what they offer, as far as that is known", () =>
    Effect.gen(function* () {
      const [demo, claude] = yield* Forge.agents
      assert.deepInclude(demo, { name: "demo", default: true, ready: true, features: { load: true } })
      assert.deepInclude(claude, { ready: false, reason: "The program claude-agent-acp was not found." })
      assert.deepStrictEqual(claude?.models, [{ id: "opus", name: "Opus" }])
    }).pipe(
      Effect.provide(
        layer(
          answers({
            "GET /agents": {
              json: {
                ok: true,
                agents: [
                  { name: "demo", default: true, ready: true, features: { load: true } },
                  {
                    name: "claude",
                    default: false,
                    ready: false,
                    reason: "The program claude-agent-acp was not found.",
                    features: {},
                    models: [{ id: "opus", name: "Opus" }]
                  }
                ]
              }
            }
          })
        )
      )
    )
  )

  it.effect("of which none was asked for: a session gets the server's default where there is no claude", () =>
    Effect.gen(function* () {
      const session = yield* Forge.open()
      assert.strictEqual(session.info.agent, "demo")
      assert.deepStrictEqual(yield* conversation, [
        'POST /sessions {"agent":"claude"}',
        "GET /healthz",
        "POST /sessions {}"
      ])
    }).pipe(Effect.provide(layer(answers({ ...sessions, "GET /healthz": { json: health(["agents"]) } }))))
  )

  it.effect("and not where one was asked for, nor at a server that does not name agents", () =>
    Effect.gen(function* () {
      for (const [options, requests] of [
        [{ agent: "claude" }, 1],
        [{}, 2]
      ] as const) {
        const { error, sent } = yield* Effect.gen(function* () {
          return { error: yield* Effect.flip(Forge.open(options)), sent: yield* conversation }
        }).pipe(Effect.provide(layer(answers({ ...sessions, "GET /healthz": { json: health() } }))))
        assert.deepInclude(error, { status: 422, outcome: "refused" })
        assert.lengthOf(sent, requests)
      }
    })
  )

  const run = Forge.run("x", { agent: "demo" })
  const ran = { json: { ok: true, result: "x", duration_ms: 1, stop_reason: "end_turn" } }

  it.effect("a run is sent to the one that it names, where the server names agents", () =>
    Effect.gen(function* () {
      yield* run
      assert.strictEqual(
        (yield* conversation).at(-1),
        'POST /run?usage=true {"prompt":"x","agent":"demo","timeout_secs":120}'
      )
    }).pipe(
      Effect.provide(layer(answers({ "POST /run?usage=true": ran, "GET /healthz": { json: health(["agents"]) } })))
    )
  )

  it.effect("a run that names one is refused where the server would ignore that", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(run)
      assert.deepInclude(error, { status: 422, outcome: "not-sent", message: "agent is not supported by this server" })
      assert.deepStrictEqual(yield* conversation, ["GET /healthz"])
    }).pipe(Effect.provide(layer(answers({ "POST /run?usage=true": ran, "GET /healthz": { json: health() } }))))
  )
})

describe("a session that no scope closes", () => {
  it.effect("is closed by hand alone, and opened under its caller's key", () =>
    Effect.gen(function* () {
      const session = yield* Effect.scoped(Forge.open({ agent: "demo", key: "chat-7" }))
      assert.deepStrictEqual(yield* conversation, ['POST /sessions {"agent":"demo"}'])
      yield* session.close
      assert.deepStrictEqual((yield* conversation).at(-1), "DELETE /sessions/s-1")
      const refused = yield* Effect.flip(Forge.open({ key: "a b" }))
      assert.deepInclude(refused, { status: 422, outcome: "not-sent" })
    }).pipe(
      Effect.provide(
        layer(answers({ "POST /sessions": { json: created(1) }, "DELETE /sessions/s-1": { json: { ok: true } } }))
      )
    )
  )
})
