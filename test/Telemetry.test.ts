import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Option, Redacted } from "effect"
import { ApiError, Forge, ForgeClient, ForgeError, SessionInfo } from "../src/index.ts"
import * as ErrorType from "../src/internal/telemetry/ErrorType.ts"
import { attributesOf, record, script, seriesOf, type Test } from "./support/Recorded.ts"
import { created, type Received, type Script, ScriptedServer, turn } from "./support/ScriptedServer.ts"

describe("spans", () => {
  it.effect("of one session form the tree in Telemetry's documentation", () =>
    Effect.gen(function* () {
      const { spans, tree } = yield* record(
        Forge.withSession({ agent: "demo", model: "opus" }, (session) =>
          Effect.andThen(session.turn("hello"), Effect.ignore(session.state))
        )
      )
      assert.deepStrictEqual(tree, [
        "session demo",
        "  create_agent demo",
        "    POST /sessions",
        "  invoke_agent demo",
        "    POST /sessions/{id}/turn",
        "  GET /sessions/{id}",
        "  DELETE /sessions/{id}"
      ])
      assert.deepStrictEqual(
        spans.map(({ kind }) => kind),
        ["internal", ...Array.from({ length: 6 }, () => "client")]
      )
      assert.isTrue(spans.every(({ status }) => status._tag === "Ended"))
      const ends = spans.map(({ status }) => (status._tag === "Ended" ? status.endTime : 0n))
      assert.strictEqual(ends.indexOf(ends.reduce((a, b) => (b > a ? b : a))), 0, "the session ends last")
    })
  )

  it.effect("carry the attributes of the GenAI and HTTP conventions, and neither prompt nor answer", () =>
    Effect.gen(function* () {
      const { spans } = yield* record(
        Forge.withSession({ agent: "demo", model: "opus" }, (session) => session.turn("hello"))
      )
      assert.deepStrictEqual(attributesOf(spans, "session demo"), {
        "gen_ai.agent.name": "demo",
        "gen_ai.conversation.id": "s-1"
      })
      assert.deepStrictEqual(attributesOf(spans, "create_agent demo"), {
        "gen_ai.operation.name": "create_agent",
        "gen_ai.provider.name": "clawdforge",
        "gen_ai.agent.name": "demo",
        "gen_ai.request.model": "opus",
        "gen_ai.conversation.id": "s-1"
      })
      assert.deepStrictEqual(attributesOf(spans, "invoke_agent demo"), {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.provider.name": "clawdforge",
        "gen_ai.agent.name": "demo",
        "gen_ai.conversation.id": "s-1",
        "gen_ai.response.finish_reasons": ["end_turn"],
        "gen_ai.usage.input_tokens": 7,
        "gen_ai.usage.output_tokens": 11
      })
      assert.deepStrictEqual(attributesOf(spans, "POST /sessions/{id}/turn"), {
        "http.request.method": "POST",
        "url.template": "/sessions/{id}/turn",
        "server.address": "forge.test",
        "server.port": 80,
        "http.response.status_code": 200
      })
    })
  )

  it.effect("of a run are one operation, without an agent's name", () =>
    Effect.gen(function* () {
      const { spans, tree } = yield* record(Forge.run("hello", { model: "opus" }), {
        script: () => ({
          json: { ok: true, result: "42", duration_ms: 1, stop_reason: "It is 42.", usage: { input_tokens: 3 } }
        })
      })
      assert.deepStrictEqual(tree, ["invoke_agent", "  POST /run"])
      assert.deepStrictEqual(attributesOf(spans, "invoke_agent"), {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.provider.name": "clawdforge",
        "gen_ai.request.model": "opus",
        "gen_ai.usage.input_tokens": 3
      })
    })
  )

  it.effect("inside a program's own span are its children, with a link to the session", () =>
    Effect.gen(function* () {
      const { tree } = yield* record(
        Forge.withSession({ agent: "demo" }, (session) =>
          Effect.gen(function* () {
            yield* session.turn("one")
            yield* Effect.withSpan(Effect.andThen(session.turn("two"), Effect.ignore(session.state)), "own")
            yield* Effect.withSpan(session.close, "goodbye")
          })
        ).pipe(Effect.withSpan("program"))
      )
      assert.deepStrictEqual(tree, [
        "program",
        "  session demo",
        "    create_agent demo",
        "      POST /sessions",
        "    invoke_agent demo",
        "      POST /sessions/{id}/turn",
        "  own",
        "    invoke_agent demo * session demo",
        "      POST /sessions/{id}/turn",
        "    GET /sessions/{id}",
        "  goodbye",
        "    DELETE /sessions/{id}"
      ])
    })
  )

  it.effect("of concurrent sessions form separate trees", () =>
    Effect.gen(function* () {
      const session = (agent: string) =>
        Forge.withSession({ agent }, (session) =>
          Effect.all([session.turn("one"), session.turn("two")], { concurrency: 2 })
        )
      const agents = ["a", "b", "c"]
      const { tree } = yield* record(Effect.forEach(agents, session, { concurrency: "unbounded" }))
      const branch = (agent: string) => [
        `session ${agent}`,
        `  create_agent ${agent}`,
        "    POST /sessions",
        `  invoke_agent ${agent}`,
        "    POST /sessions/{id}/turn",
        `  invoke_agent ${agent}`,
        "    POST /sessions/{id}/turn",
        "  DELETE /sessions/{id}"
      ]
      assert.deepStrictEqual(tree, agents.flatMap(branch))
    })
  )

  it.effect("of a close stay with the session, also where the scope ends elsewhere or with its client", () =>
    Effect.gen(function* () {
      const setup = Effect.withSpan(Forge.session({ agent: "demo" }), "setup")
      const client = Layer.unwrap(
        ScriptedServer.useSync(({ url }) => ForgeClient.layer({ url, token: Redacted.make("cf_test") }))
      )
      const programs: ReadonlyArray<Test<unknown, unknown>> = [
        Effect.scoped(setup),
        Effect.scoped(Effect.provide(setup, client))
      ]
      for (const program of programs) {
        const { tree } = yield* record(Effect.withSpan(program, "program"))
        assert.deepStrictEqual(tree, [
          "program",
          "  setup",
          "    session demo",
          "      create_agent demo",
          "        POST /sessions",
          "      DELETE /sessions/{id}"
        ])
      }
    })
  )

  it.live("of retries are siblings of the first, each with its number and its status", () =>
    Effect.gen(function* () {
      let asked = 0
      const usual = script()
      const { spans, tree } = yield* record(Forge.sessions(), {
        script: (request, nth) =>
          ++asked <= 2 ? { status: 503, json: { detail: "session pool is full" } } : usual(request, nth),
        options: { retry: { pause: 1 } }
      })
      const each = spans.map(({ attributes }) => [
        attributes.get("http.response.status_code"),
        attributes.get("http.request.resend_count"),
        attributes.get("error.type")
      ])
      assert.deepStrictEqual(tree, ["GET /sessions", "GET /sessions", "GET /sessions"])
      assert.deepStrictEqual(each.slice(0, 2), [
        [503, undefined, "503"],
        [503, 1, "503"]
      ])
      assert.strictEqual(each[2]?.[1], 2)
    })
  )

  it.effect("of failed calls have the status, or the reason why there was no answer", () =>
    Effect.gen(function* () {
      const ways = [
        ["fail 502", 502, "502", "502"],
        ["fail 418", 418, "418", "418"],
        ["fail 401", 401, "401", "401"],
        ["fail 410", 410, "SessionClosed", "410"],
        ["broken", undefined, "Reset", "Reset"]
      ] as const
      for (const [prompt, status, type, httpType] of ways) {
        const { spans } = yield* record(Forge.withSession({ agent: "demo" }, (session) => session.turn(prompt)))
        const http = spans.find(({ name }) => name === "POST /sessions/{id}/turn")
        const agent = spans.find(({ name }) => name === "invoke_agent demo")
        assert.strictEqual(http?.attributes.get("http.response.status_code"), status)
        assert.strictEqual(http?.attributes.get("error.type"), httpType)
        assert.strictEqual(agent?.attributes.get("error.type"), type)
        for (const span of [http, agent]) {
          assert.isTrue(span?.status._tag === "Ended" && Exit.isFailure(span.status.exit))
        }
      }
    })
  )

  it.effect("of an interrupted turn end with it, as interrupted", () =>
    Effect.gen(function* () {
      const usual = script()
      const { spans } = yield* record(
        Forge.withSession({ agent: "demo" }, (session) =>
          Effect.gen(function* () {
            const fiber = yield* Effect.forkChild(session.turn("silence"))
            yield* ScriptedServer.use(({ arrival }) => arrival(2))
            yield* Fiber.interrupt(fiber)
          })
        ),
        { script: (request, nth) => (request.path.endsWith("/turn") ? "silence" : usual(request, nth)) }
      )
      for (const name of ["invoke_agent demo", "POST /sessions/{id}/turn"]) {
        assert.strictEqual(attributesOf(spans, name)["error.type"], "interrupted")
      }
      assert.isTrue(spans.every(({ status }) => status._tag === "Ended"))
    })
  )

  it.effect("do not exist for refused input: there is no operation, no request and no HTTP status", () =>
    Effect.gen(function* () {
      const { exit, metrics, tree } = yield* record(
        Forge.withSession({ agent: "demo" }, (session) => session.turn(" "))
      )
      assert.isTrue(Exit.isFailure(exit) && ApiError.is(422)(Option.getOrThrow(Exit.findErrorOption(exit))))
      assert.deepStrictEqual(tree, [
        "session demo",
        "  create_agent demo",
        "    POST /sessions",
        "  DELETE /sessions/{id}"
      ])
      assert.lengthOf(seriesOf({ metrics }, "gen_ai.client.operation.duration"), 1)
      const bad = [
        Effect.asVoid(Effect.scoped(Forge.session({ agent: "no such name" }))),
        Effect.asVoid(Forge.run("", { model: "-" }))
      ]
      for (const refused of bad) {
        const { metrics, tree } = yield* record<void, unknown>(refused)
        assert.deepStrictEqual([tree, metrics], [[], []])
      }
    })
  )

  it("of input that this client refuses have the reason as their error type, not a status", () => {
    const refusal = (outcome: ForgeError.Outcome) =>
      new ApiError({
        operation: "Session.turn",
        method: "POST",
        path: "/sessions/{id}/turn",
        requestId: undefined,
        status: 422,
        message: "prompt must not be empty",
        outcome,
        reason: new ForgeError.Invalid({ issues: [] }),
        retryAfter: undefined
      })
    assert.strictEqual(ErrorType.ofError(refusal("not-sent")), "Invalid")
    assert.strictEqual(ErrorType.ofError(refusal("refused")), "422")
  })

  it.effect("have the agent and the model that the caller gave; of a borrowed session, only valid names", () =>
    Effect.gen(function* () {
      const usual = script()
      const odd = ({ headers }: Received) => ({ agent: headers.authorization, model: "m".repeat(50_000) })
      const state = { ...created(1), app_name: "a", last_turn_at: null, turn_count: 0, closed_at: null, live: true }
      const answer: Script = (request, nth) => {
        if (request.method === "GET") return { json: { ...state, ...odd(request), meta: null } }
        if (request.path === "/sessions") return { json: { ...created(1), ...odd(request) } }
        return usual(request, nth)
      }
      const { metrics, spans, tree } = yield* record(
        Effect.gen(function* () {
          yield* Forge.withSession({ agent: "demo", model: "opus" }, (session) => session.turn("hello"))
          yield* (yield* Forge.attach(SessionInfo.sessionId("s-1"))).turn("hello")
        }),
        { script: answer }
      )
      assert.deepStrictEqual(
        tree.filter((line) => !/GET|POST|DELETE/.test(line)),
        ["session demo", "  create_agent demo", "  invoke_agent demo", "invoke_agent"]
      )
      assert.strictEqual(attributesOf(spans, "create_agent demo")["gen_ai.request.model"], "opus")
      assert.isUndefined(attributesOf(spans, "invoke_agent")["gen_ai.request.model"])
      const recorded = JSON.stringify([
        spans.map(({ attributes }) => [...attributes]),
        metrics.map((one) => one.attributes)
      ])
      assert.notMatch(recorded, /cf_test-token|mmmm/)
    })
  )

  it.effect("never have a token for a name", () =>
    Effect.gen(function* () {
      const token = "cf_abcdefgh"
      const state = { ...created(1), app_name: "a", last_turn_at: null, turn_count: 0, closed_at: null, live: true }
      const { metrics, spans, tree } = yield* record(
        Effect.flatMap(Forge.attach(SessionInfo.sessionId("s-1")), (session) => session.turn("hello")),
        {
          script: (request, nth) =>
            request.method === "GET"
              ? { json: { ...state, session_id: token, agent: token, model: token, meta: null } }
              : { json: { ...turn(token, nth, "hello"), stop_reason: token } }
        }
      )
      assert.include(tree, "invoke_agent")
      assert.notInclude(JSON.stringify([spans.map(({ attributes }) => [...attributes]), metrics]), "cf_")
    })
  )
})
