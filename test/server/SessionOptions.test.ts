import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, it } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import { DatabaseSync } from "node:sqlite"
import { fileURLToPath } from "node:url"
import * as DemoAgent from "../../src/agent/DemoAgent.ts"
import { type App, serve, turnOf } from "./Support.ts"

const misbehaving = fileURLToPath(new URL("../agent/fixtures/MisbehavingAgent.ts", import.meta.url))
const agents = [
  DemoAgent.definition,
  { ...DemoAgent.definition, name: "deaf", takesSystemPrompt: false },
  { name: "plain", command: [process.execPath, misbehaving, "garbage"], permissions: "deny" }
] as const

const open = (app: App, body: object) =>
  Effect.map(app.request("POST", "/sessions", { body: { agent: "demo", ...body } }), ({ status, text }) => ({
    status,
    text,
    id: /"session_id":"([^"]+)"/.exec(text)?.[1] ?? ""
  }))

const said = (app: App, id: string, prompt: string) =>
  Effect.map(Effect.flatMap(app.turn(id, prompt), turnOf), ({ text }) => text)

it.live("a session has its system prompt and effort from its first turn on, and after a restart", () =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const data = yield* fs.makeTempDirectoryScoped()
    const first = yield* serve({ agents, data })
    const app = yield* first.mint("app")
    const own = "You are the demo agent."
    const appended = yield* open(app, { system: "Speak Latin.", effort: "max", model: "demo-terse" })
    const replaced = yield* open(app, { system: "Speak Greek.", system_mode: "replace" })
    const neither = yield* open(app, { system: null, system_mode: null, effort: null })
    const expected = [
      [appended.id, `${own}\n\nSpeak Latin.`, "demo-terse, max"],
      [replaced.id, "Speak Greek.", "demo, low"],
      [neither.id, own, "demo, low"]
    ] as const
    const check = Effect.fnUntraced(function* (app: App) {
      for (const [id, system, settings] of expected) {
        assert.strictEqual(yield* said(app, id, "/system"), system)
        assert.strictEqual(yield* said(app, id, "/settings"), settings)
      }
    })
    yield* check(app)
    assert.notInclude((yield* app.request("GET", `/sessions/${appended.id}`)).text, "Latin")
    yield* first.stop
    const second = yield* serve({ agents, data })
    yield* check(second.adopt(app.token))
  }).pipe(Effect.provide(NodeFileSystem.layer))
)

it.live("an agent that has no way to set them is not asked to pretend: 422", () =>
  Effect.gen(function* () {
    const app = yield* Effect.flatMap(serve({ agents }), ({ mint }) => mint("app"))
    const refused = [
      [{ agent: "deaf", system: "Speak Latin." }, "system", "Agent deaf takes no system prompt."],
      [{ agent: "plain", effort: "low" }, "effort", "Agent plain has no option for the effort."],
      [{ system: "" }, "system", "must not be empty"]
    ] as const
    for (const [body, field, msg] of refused) {
      const answer = yield* open(app, body)
      assert.deepStrictEqual(
        [answer.status, answer.text],
        [422, `{"detail":[{"loc":["body","${field}"],"msg":"${msg}","type":"value_error"}]}`]
      )
    }
    for (const body of [{ system_mode: "prefix" }, { effort: "extreme" }, { system: 1 }]) {
      const answer = yield* open(app, body)
      assert.strictEqual(answer.status, 422)
      assert.include(answer.text, `{"loc":["body","${Object.keys(body)[0]}"],`)
    }
    const listed = yield* app.request("GET", "/sessions")
    assert.strictEqual(listed.text, '{"ok":true,"sessions":[],"count":0}')
  })
)

it.live("the events of a session are listed in order and without text, from any of them on", () =>
  Effect.gen(function* () {
    const { mint } = yield* serve()
    const app = yield* mint("app")
    const { id } = yield* app.open
    yield* app.turn(id, "/echo canary")
    yield* app.turn(id, "/fail canary")
    yield* app.request("DELETE", `/sessions/${id}`)
    const events = (query: string) => app.request("GET", `/sessions/${id}/events${query}`)
    const all = yield* events("")
    assert.strictEqual(all.status, 200)
    assert.match(
      all.text,
      /^{"ok":true,"events":\[{"seq":1,"at":\d{10},"kind":"create"},{"seq":2,"at":\d{10},"kind":"turn","turn_index":1,"detail":{"stop_reason":"end_turn","duration_ms":\d+}},{"seq":3,"at":\d{10},"kind":"turn","turn_index":2,"detail":{"stop_reason":"error","duration_ms":\d+}},{"seq":4,"at":\d{10},"kind":"close"}\]}$/
    )
    const seqs = (text: string) => [...text.matchAll(/"seq":(\d+)/g)].map(([, seq]) => Number(seq))
    assert.deepStrictEqual(seqs((yield* events("?after=0")).text), [1, 2, 3, 4])
    assert.deepStrictEqual(seqs((yield* events("?after=2")).text), [3, 4])
    assert.strictEqual((yield* events("?after=4")).text, '{"ok":true,"events":[]}')
    for (const query of ["?after=-1", "?after=x", "?after=1.5", "?after="]) {
      const answer = yield* events(query)
      assert.strictEqual(answer.status, 422, query)
      assert.include(answer.text, '"loc":["query","after"]')
    }
    const stranger = yield* mint("stranger")
    const theirs = yield* stranger.request("GET", `/sessions/${id}/events`)
    assert.deepStrictEqual([theirs.status, theirs.text], [404, '{"detail":"session not found"}'])
  })
)

it.live("of many events an answer has a thousand, and the next one goes on after the last of them", () =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const data = yield* fs.makeTempDirectoryScoped()
    const { mint } = yield* serve({ data })
    const app = yield* mint("app")
    const [{ id }, { id: other }] = [yield* app.open, yield* app.open]
    const ledger = new DatabaseSync(`${data}/ledger.db`)
    const add = ledger.prepare("INSERT INTO session_events (session_id, app_id, at, kind) VALUES (?, 1, 0, 'turn')")
    ledger.exec("BEGIN")
    for (let index = 0; index < 1_999; index++) add.run(index % 10 === 0 ? other : id)
    ledger.exec("COMMIT")
    ledger.close()
    const seqsAfter = Effect.fnUntraced(function* (after: number) {
      const { text } = yield* app.request("GET", `/sessions/${id}/events?after=${after}`)
      return [...text.matchAll(/"seq":(\d+)/g)].map(([, seq]) => Number(seq))
    })
    const first = yield* seqsAfter(0)
    const second = yield* seqsAfter(first.at(-1) ?? 0)
    assert.deepStrictEqual([first.length, second.length], [1_000, 800])
    const all = [...first, ...second]
    assert.deepStrictEqual(
      all,
      all.toSorted((a, b) => a - b)
    )
    assert.strictEqual(new Set(all).size, 1_800)
  }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))
)
