import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, it } from "@effect/vitest"
import { Context, Duration, Effect, Fiber, FileSystem, Layer, Schema } from "effect"
import { readdirSync, readFileSync } from "node:fs"
import { DatabaseSync } from "node:sqlite"
import * as DemoAgent from "../../../src/agent/DemoAgent.ts"
import { processesIn, serve, turnOf } from "../Support.ts"
import { eventually } from "../../support/Eventually.ts"

/** Runs go to the agent named claude, here a demo agent, although another one is first in the table. */
const make = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const data = yield* fs.makeTempDirectoryScoped()
  const server = yield* serve({
    data,
    maxRuns: 2,
    maxTimeout: Duration.seconds(60),
    agents: [
      { name: "missing", command: ["/nonexistent/agent"], permissions: "deny" },
      { ...DemoAgent.definition, name: "claude" }
    ]
  })
  const app = yield* server.mint("app")
  const run = (body: unknown, query = "") => app.request("POST", `/run${query}`, { body })
  return { ...server, data, app, run }
}).pipe(Effect.provide(NodeFileSystem.layer))
class Shared extends Context.Service<Shared, Effect.Success<typeof make>>()("test/Shared") {
  static readonly layer = Layer.effect(Shared, make)
}

const Row = Schema.Struct({ agent: Schema.String, outcome: Schema.String, prompt_bytes: Schema.Int })

/** The recorded runs, newest first. */
const runsIn = (data: string) => {
  const database = new DatabaseSync(`${data}/ledger.db`, { readOnly: true })
  const rows = database.prepare("SELECT * FROM runs ORDER BY seq DESC").all()
  database.close()
  return Schema.decodeUnknownSync(Schema.Array(Row))(rows)
}

const invalid = (field: string, msg: string, type = "value_error") =>
  JSON.stringify({ detail: [{ loc: ["body", field], msg, type }] })

it.layer(Shared.layer, { excludeTestServices: true })("POST /run", (it) => {
  it.effect("answers with exactly four keys, and with the usage only on request", () =>
    Effect.gen(function* () {
      const { data, run } = yield* Shared
      const withUsage = yield* run({ prompt: '/echo ```json\n{"a": [1]}\n```' })
      assert.strictEqual(withUsage.status, 200)
      assert.match(withUsage.text, /^\{"ok":true,"result":\{"a":\[1\]\},"duration_ms":\d+,"stop_reason":"end_turn"\}$/)
      const [row] = runsIn(data)
      assert.deepInclude(row, { agent: "claude", outcome: "end_turn" })
      const plain = yield* run({ prompt: "/echo no JSON" }, "?usage=false")
      assert.match(plain.text, /^\{"ok":true,"result":"no JSON","duration_ms":\d+,"stop_reason":"end_turn"\}$/)
      const usage = yield* run({ prompt: "/echo 1" }, "?usage=true")
      assert.match(
        usage.text,
        /^\{"ok":true,"result":1,"duration_ms":\d+,"stop_reason":"end_turn","usage":\{"input_tokens":2,"output_tokens":1,"total_tokens":3\}\}$/
      )
    })
  )

  it.effect("passes the model, the effort and the system prompt to the agent, not in the prompt", () =>
    Effect.gen(function* () {
      const { run } = yield* Shared
      const resultOf = (body: unknown) =>
        Effect.map(run(body), ({ text }) => /"result":"((?:[^"\\]|\\.)*)"/.exec(text)?.[1] ?? text)
      assert.strictEqual(yield* resultOf({ prompt: "/settings" }), "demo, low")
      assert.strictEqual(
        yield* resultOf({ prompt: "/settings", model: "demo-terse", effort: "max" }),
        "demo-terse, max"
      )
      const system = "Speak Latin."
      assert.strictEqual(
        yield* resultOf({ prompt: "/system", system, system_mode: null }),
        "You are the demo agent.\\n\\nSpeak Latin."
      )
      assert.strictEqual(yield* resultOf({ system_mode: "replace", system, prompt: "/system" }), system)
      assert.strictEqual(yield* resultOf({ prompt: "/system", system_mode: "replace" }), "You are the demo agent.")
      assert.strictEqual(
        yield* resultOf({
          prompt: "/echo old",
          model: null,
          system: null,
          effort: null,
          files: null,
          timeout_secs: null,
          meta: { extra: 1 }
        }),
        "old"
      )
    })
  )

  it.effect("refuses invalid fields by name", () =>
    Effect.gen(function* () {
      const { data, run } = yield* Shared
      const before = runsIn(data).length
      const blank = "must not be empty"
      const range = "must be from 5 to 60"
      const refused: ReadonlyArray<readonly [object, string]> = [
        [{}, invalid("prompt", "is missing", "missing")],
        [{ prompt: "" }, invalid("prompt", blank)],
        [{ prompt: " \n" }, invalid("prompt", blank)],
        [{ prompt: "x", system: "" }, invalid("system", blank)],
        [{ prompt: "x", timeout_secs: 4 }, invalid("timeout_secs", range)],
        [{ prompt: "x", timeout_secs: 61 }, invalid("timeout_secs", range)],
        [{ prompt: "x", timeout_secs: -1 }, invalid("timeout_secs", range)],
        [{ prompt: "x", timeout_secs: 1e20 }, invalid("timeout_secs", range)],
        [{ prompt: "x", timeout_secs: -1e300 }, invalid("timeout_secs", range)]
      ]
      for (const [body, detail] of refused) {
        const answer = yield* run(body)
        assert.deepStrictEqual([answer.status, answer.text], [422, detail])
      }
      for (const body of [
        { prompt: 1 },
        { prompt: "x", model: "" },
        { prompt: "x", model: "--help" },
        { prompt: "x", system_mode: "prefix" },
        { prompt: "x", effort: "extreme" },
        { prompt: "x", files: "ff_x" },
        { prompt: "x", timeout_secs: true },
        { prompt: "x", timeout_secs: "30" },
        { prompt: "x", timeout_secs: 30.5 }
      ]) {
        const answer = yield* run(body)
        const field = Object.keys(body).at(-1)
        assert.strictEqual(answer.status, 422, field)
        assert.isTrue(answer.text.startsWith(`{"detail":[{"loc":["body","${field}"],`), answer.text)
      }
      const query = yield* run({ prompt: "x" }, "?usage=perhaps")
      assert.strictEqual(query.status, 422)
      assert.include(query.text, '"loc":["query","usage"]')
      assert.strictEqual(runsIn(data).length, before)

      const model = yield* run({ prompt: "x", model: "unknown" })
      assert.strictEqual(model.status, 422)
      assert.include(model.text, '"loc":["body","model"]')
      assert.strictEqual(runsIn(data)[0]?.outcome, "refused")
    })
  )

  it.effect("answers with a failed run when the agent fails", () =>
    Effect.gen(function* () {
      const { data, run } = yield* Shared
      const failed = yield* run({ prompt: "/fail out of paper" })
      assert.strictEqual(failed.status, 502)
      assert.match(
        failed.text,
        /^\{"ok":false,"error":"Agent claude failed the turn: out of paper","stderr":"","duration_ms":\d+,"stop_reason":"error"\}$/
      )
      const died = yield* run({ prompt: "/exit 7" })
      assert.strictEqual(died.status, 502)
      assert.match(
        died.text,
        /^\{"ok":false,"error":"Agent claude exited with code 7\.","stderr":"demo agent: exiting with 7, as the prompt asks\\n","duration_ms":\d+,"stop_reason":"error"\}$/
      )
      const late = yield* run({ prompt: "/wait", timeout_secs: 5 })
      assert.strictEqual(late.status, 502)
      assert.match(
        late.text,
        /^\{"ok":false,"error":"Agent claude did not finish the run within 5s\.","stderr":"","duration_ms":\d{4,},"stop_reason":"timeout"\}$/
      )
      assert.deepStrictEqual(
        runsIn(data)
          .slice(0, 3)
          .map(({ outcome }) => outcome),
        ["timeout", "error", "error"]
      )
    })
  )

  it.effect(
    "is cancelled when its client disconnects, leaves no process, folder or text, and is 503 over the limit",
    () =>
      Effect.gen(function* () {
        const { data, run } = yield* Shared
        const folders = () => readdirSync(`${data}/runs`)
        const waiting = yield* Effect.forEach([1, 2], () => Effect.forkChild(run({ prompt: "/wait for-a-canary" })))
        yield* Effect.sync(() => processesIn(`${data}/runs`)).pipe(
          eventually("two agents at work", (pids) => pids.length === 2)
        )
        const third = yield* run({ prompt: "x" })
        assert.deepStrictEqual([third.status, third.text], [503, '{"detail":"too many runs"}'])
        assert.lengthOf(folders(), 2)
        yield* Effect.forEach(waiting, Fiber.interrupt, { concurrency: 2 })
        yield* Effect.sync(folders).pipe(eventually("the removal of the runs' folders", (names) => names.length === 0))
        assert.deepStrictEqual(processesIn(`${data}/runs`), [])
        yield* Effect.sync(() => runsIn(data)[1]).pipe(
          eventually("a cancelled run in the ledger", (row) => row?.outcome === "cancelled")
        )
        for (const file of ["ledger.db", "ledger.db-wal"]) {
          assert.isFalse(readFileSync(`${data}/${file}`, "latin1").includes("for-a-canary"))
        }
        assert.strictEqual((yield* run({ prompt: "/echo x" })).status, 200)
      })
  )

  it.effect("takes a prompt of 5 MB, as a turn does", () =>
    Effect.gen(function* () {
      const { app, data, run } = yield* Shared
      const long = "y".repeat(5_000_000)
      const answer = yield* run({ prompt: `/echo ${long}` })
      assert.strictEqual(answer.status, 200)
      assert.isTrue(answer.text.startsWith(`{"ok":true,"result":"${long}",`))
      assert.strictEqual(runsIn(data)[0]?.prompt_bytes, 5_000_006)
      const opened = yield* app.request("POST", "/sessions", { body: {} })
      const id = /"session_id":"([^"]+)"/.exec(opened.text)?.[1] ?? ""
      const turn = yield* Effect.flatMap(app.turn(id, `/echo ${long}`), turnOf)
      assert.strictEqual(turn.text.length, long.length)
    })
  )
})

it.live("a run goes to the first agent without a Claude, and an agent without system prompts refuses one", () =>
  Effect.gen(function* () {
    const { takesSystemPrompt: _, ...plain } = DemoAgent.definition
    const server = yield* serve({ agents: [{ ...plain, name: "plain" }, DemoAgent.definition] })
    const app = yield* server.mint("app")
    const answer = yield* app.request("POST", "/run", { body: { prompt: "x", system: "Be brief." } })
    assert.deepStrictEqual(
      [answer.status, answer.text],
      [422, invalid("system", "Agent plain takes no system prompt.")]
    )
    const none = yield* serve({ agents: [] })
    const refused = yield* (yield* none.mint("app")).request("POST", "/run", { body: { prompt: "x" } })
    assert.strictEqual(refused.status, 502)
    assert.match(
      refused.text,
      /^\{"ok":false,"error":"There is no agent\.","stderr":"","duration_ms":\d+,"stop_reason":"error"\}$/
    )
  }).pipe(Effect.scoped)
)
