import * as NodeCrypto from "@effect/platform-node/NodeCrypto"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Layer, Option, Stream } from "effect"
import { HttpClientRequest, HttpRouter } from "effect/http"
import { AgentFailed, AgentOptionRefused, type AgentTurn } from "../../../src/agent/Agent.ts"
import * as AdminAccess from "../../../src/server/access/AdminAccess.ts"
import * as AgentPool from "../../../src/server/agents/AgentPool.ts"
import { Agents, type OpenOptions } from "../../../src/server/agents/Agents.ts"
import * as AppTokens from "../../../src/server/access/AppTokens.ts"
import * as NodeNetworks from "../../../src/server/access/NodeNetworks.ts"
import * as DataFolder from "../../../src/server/storage/DataFolder.ts"
import * as AgentPrograms from "../../../src/server/agents/AgentPrograms.ts"
import * as InProcess from "../../../src/server/http/InProcess.ts"
import * as SqlKeptAnswers from "../../../src/server/calls/SqlKeptAnswers.ts"
import * as Calls from "../../../src/server/calls/Calls.ts"
import * as SqlLedger from "../../../src/server/storage/SqlLedger.ts"
import * as LinuxFolders from "../../../src/server/folders/LinuxFolders.ts"
import * as LocalSessionEngine from "../../../src/server/sessions/LocalSessionEngine.ts"
import * as Migrations from "../../../src/server/storage/Migrations.ts"
import * as NodeSqlite from "../../../src/server/storage/NodeSqlite.ts"
import * as DiskReadiness from "../../../src/server/upkeep/DiskReadiness.ts"
import * as Routes from "../../../src/server/http/Routes.ts"
import * as Runs from "../../../src/server/runs/Runs.ts"
import { ownedBy } from "../storage/Support.ts"
import * as Shutdown from "../../../src/server/Shutdown.ts"
import * as Sweeper from "../../../src/server/upkeep/Sweeper.ts"
import { noMcpServers } from "../sessions/Support.ts"
import * as LocalWorkspaces from "../../../src/server/workspaces/LocalWorkspaces.ts"
import * as StoredUploads from "../../../src/server/files/StoredUploads.ts"

interface Recorded {
  readonly opened: Array<OpenOptions>
  readonly turns: Array<AgentTurn>
}

/** An agent that records its requests. */
const agentsOf = (recorded: Recorded) =>
  Layer.succeed(Agents, {
    names: ["demo"],
    defaultName: Option.none(),
    offerOf: () => Option.none(),
    has: () => true,
    open: Effect.fnUntraced(function* (_, options) {
      recorded.opened.push(options)
      if (options.model === "bad") return yield* new AgentOptionRefused({ option: "model", error: "no such model" })
      return {
        id: "agent-session",
        pid: 1,
        isRestorable: true,
        offer: { features: {} },
        ended: Effect.never,
        turn: (turn: AgentTurn) => {
          recorded.turns.push(turn)
          return turn.prompt === "late"
            ? Stream.fail(new AgentFailed({ error: "out of time", stderr: "tail", stopReason: "timeout" }))
            : Stream.make(
                { _tag: "Text", content: "he" },
                { _tag: "Text", content: "llo" },
                { _tag: "ToolCall", id: "1", name: "read", status: "pending" },
                { _tag: "ToolCall", id: "1", name: "read", status: "completed", args: { a: 1 }, result: "x" },
                { _tag: "TurnEnd", stopReason: "end_turn", usage: { inputTokens: 1 } }
              )
        }
      }
    })
  })

/** The routes over that agent, and one open session. */
const serve = Effect.gen(function* () {
  const recorded: Recorded = { opened: [], turns: [] }
  const sweeper = Layer.effect(Sweeper.Sweeper, Sweeper.make({}))
  const parts = Layer.mergeAll(DiskReadiness.layer({}), Calls.layer({}), sweeper).pipe(
    Layer.provideMerge(AdminAccess.layer({})),
    Layer.provideMerge(Layer.merge(LocalSessionEngine.layer({}), Runs.layer({}))),
    Layer.provideMerge(Shutdown.layer),
    Layer.provideMerge(
      Layer.mergeAll(StoredUploads.layer({}), LinuxFolders.layer, LocalWorkspaces.layer({}), noMcpServers)
    ),
    Layer.provideMerge(Layer.merge(AppTokens.layer, NodeNetworks.layer)),
    Layer.provideMerge(Layer.merge(agentsOf(recorded), AgentPrograms.layer({ agents: [] }))),
    Layer.provideMerge(AgentPool.layer({})),
    Layer.provideMerge(Layer.merge(SqlLedger.layer, SqlKeptAnswers.layer)),
    Layer.provide(ownedBy("this")),
    Layer.provide(Migrations.layer),
    Layer.provide(NodeSqlite.layer({ filename: ":memory:" })),
    Layer.provideMerge(DataFolder.layer({})),
    Layer.provideMerge(Layer.mergeAll(NodeServices.layer, NodeCrypto.layer, NodeHttpServer.layerHttpServices))
  )
  const context = yield* Layer.build(parts)
  const client = InProcess.make(yield* Effect.provide(HttpRouter.toHttpEffect(Routes.layer(Layer.empty)), context))
  const token = yield* Context.get(context, AppTokens.AppTokens).mint("app")
  const post = Effect.fnUntraced(function* (
    path: string,
    body: unknown,
    headers: Readonly<Record<string, string>> = {}
  ) {
    const request = HttpClientRequest.post(`http://embedded${path}`, { headers }).pipe(
      HttpClientRequest.bearerToken(token),
      HttpClientRequest.bodyJsonUnsafe(body)
    )
    const answer = yield* client.execute(request)
    return [answer.status, yield* answer.text] as const
  })
  const [, created] = yield* post("/sessions", { agent: "any", model: "good" })
  return { recorded, post, id: /"session_id":"([^"]+)"/.exec(created)?.[1] ?? "" }
})

describe("Handlers", () => {
  it.effect("a turn's answer has its events merged, and its usage", () =>
    Effect.gen(function* () {
      const { id, post } = yield* serve
      assert.match(id, /^[A-Za-z0-9_-]{22,}$/)
      const [status, text] = yield* post(`/sessions/${id}/turn`, { prompt: "hello" })
      assert.strictEqual(status, 200)
      assert.strictEqual(
        text,
        `{"ok":true,"session_id":"${id}","turn_index":1,"events":[{"type":"text","content":"hello"},` +
          '{"type":"tool_call","name":"read","id":"1","status":"completed","args":{"a":1},"result":"x"}],' +
          '"stop_reason":"end_turn","duration_ms":0,"usage":{"input_tokens":1}}'
      )
    })
  )

  it.effect("a turn's timeout is clamped, and two minutes by default", () =>
    Effect.gen(function* () {
      const { recorded, id, post } = yield* serve
      const prompt = "  the user's words, unaltered\n"
      for (const timeout_secs of [undefined, null, -1, 0, 5, 42, 600, 100_000, 1e20, 1e300, -1e300]) {
        yield* post(`/sessions/${id}/turn`, { prompt, timeout_secs, files: null, extra: 1 })
      }
      assert.deepStrictEqual(
        recorded.turns.map(({ timeout }) => Duration.toSeconds(timeout)),
        [120, 120, 5, 5, 5, 42, 600, 600, 600, 600, 5]
      )
      assert.deepStrictEqual(new Set(recorded.turns.map((turn) => turn.prompt)), new Set([prompt]))
    })
  )

  it.effect("a turn that times out is a failure of the agent: 502", () =>
    Effect.gen(function* () {
      const { id, post } = yield* serve
      assert.deepStrictEqual(yield* post(`/sessions/${id}/turn`, { prompt: "late" }), [
        502,
        '{"ok":false,"error":"out of time","stderr":"tail","duration_ms":0,"stop_reason":"timeout"}'
      ])
    })
  )

  it.effect("the agent gets the model, and a model that it refuses is 422", () =>
    Effect.gen(function* () {
      const { recorded, post } = yield* serve
      assert.strictEqual(recorded.opened[0]?.model, "good")
      assert.deepStrictEqual(yield* post("/sessions", { agent: "any", model: "bad" }), [
        422,
        '{"detail":[{"loc":["body","model"],"msg":"no such model","type":"value_error"}]}'
      ])
    })
  )

  it.effect("bodies are limited without a socket too", () =>
    Effect.gen(function* () {
      const { id, post } = yield* serve
      assert.deepStrictEqual(yield* post(`/sessions/${id}/turn`, { prompt: "x".repeat(8 * 1024 * 1024) }), [
        413,
        '{"detail":"request too large"}'
      ])
    })
  )

  it.effect("a turn streams without a socket too, and its replay has the same frames", () =>
    Effect.gen(function* () {
      const { recorded, id, post } = yield* serve
      const ask = (accept: string) =>
        post(`/sessions/${id}/turn`, { prompt: "hello" }, { accept, "idempotency-key": "k" })
      const [status, text] = yield* ask("text/event-stream")
      assert.strictEqual(status, 200)
      assert.deepStrictEqual(
        [...text.matchAll(/^event: (.*)$/gm)].map(([, type]) => type),
        ["text", "text", "tool_call", "tool_call", "done"]
      )
      const [, again] = yield* ask("text/event-stream")
      assert.strictEqual(again, text)
      assert.include((yield* ask("application/json"))[1], '{"type":"text","content":"hello"}')
      assert.lengthOf(recorded.turns, 1)
    })
  )
})
