import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, it } from "@effect/vitest"
import { Effect, Fiber, FileSystem, Redacted } from "effect"
import { DatabaseSync } from "node:sqlite"
import { call, openStream, serve, turnOf } from "../Support.ts"
import { post, Shared, stopsOf, turn } from "./Support.ts"

/** The sessions with which the kept answers in a folder are deleted, by key. */
const keptIn = (data: string) => {
  const database = new DatabaseSync(`${data}/ledger.db`, { readOnly: true })
  const rows = database.prepare("SELECT key, session_id FROM kept_answers").all()
  database.close()
  return Object.fromEntries(rows.map((row) => [row["key"], row["session_id"]]))
}

const otherBody =
  '{"detail":[{"loc":["header","idempotency-key"],"msg":"was used with another body","type":"value_error"}]}'

it.layer(Shared.layer, { excludeTestServices: true, concurrent: true })("a keyed call", (it) => {
  it.effect("is executed once: a repeat with the same body gets the first answer, byte for byte", () =>
    Effect.gen(function* () {
      const { app } = yield* Shared
      const { id } = yield* app.open
      const first = yield* turn(app, id, "once", '{"prompt":"/echo é","timeout_secs":60}')
      assert.strictEqual(first.status, 200)
      const again = yield* turn(app, id, "once", '{ "timeout_secs": 60.0, "prompt": "/echo \\u00e9" }\n')
      assert.deepStrictEqual([again.status, again.text], [200, first.text])
      assert.strictEqual(again.headers.get("content-type"), "application/json")
      assert.strictEqual((yield* app.state(id)).turn_count, 1)
    })
  )

  it.effect("with another body is refused: 422", () =>
    Effect.gen(function* () {
      const { app } = yield* Shared
      const { id } = yield* app.open
      yield* turn(app, id, "other", { prompt: "/echo one" })
      const others = [
        { prompt: "/echo two" },
        { prompt: "/echo one", timeout_secs: 60 },
        { prompt: "/echo one", unknown: 1 }
      ]
      for (const body of others) {
        const answer = yield* turn(app, id, "other", body)
        assert.deepStrictEqual([answer.status, answer.text], [422, otherBody])
      }
      const running = yield* Effect.forkChild(turn(app, id, "running", { prompt: "/chunks 2 100" }))
      yield* app.turns(id, 2)
      const answer = yield* turn(app, id, "running", { prompt: "/echo two" })
      assert.deepStrictEqual([answer.status, answer.text], [422, otherBody])
      assert.strictEqual((yield* Fiber.join(running)).status, 200)
    })
  )

  it.effect("is another call for another app, path or key, and without a key", () =>
    Effect.gen(function* () {
      const { app, mint } = yield* Shared
      const { id } = yield* app.open
      const body = { prompt: "/echo same" }
      yield* turn(app, id, "scope", body)
      yield* turn(app, id, "Scope", body)
      yield* app.request("POST", `/sessions/${id}/turn`, { body })
      yield* app.request("POST", `/sessions/${id}/turn`, { body })
      assert.strictEqual((yield* app.state(id)).turn_count, 4)
      const other = yield* app.open
      yield* turn(app, other.id, "scope", body)
      assert.strictEqual((yield* app.state(other.id)).turn_count, 1)
      const stranger = yield* mint("stranger")
      const theirs = yield* stranger.open
      yield* turn(stranger, theirs.id, "scope", body)
      assert.strictEqual((yield* stranger.state(theirs.id)).turn_count, 1)
      assert.strictEqual((yield* turn(stranger, id, "scope", body)).text, '{"detail":"session not found"}')
      const opened = yield* Effect.forEach(
        [app, stranger],
        (each) => post(each, "/sessions", "scope", { agent: "demo" }),
        { concurrency: 2 }
      )
      assert.notStrictEqual(opened[0]?.text, opened[1]?.text)
    })
  )

  it.effect("has a key of 1 to 255 visible ASCII characters: 422", () =>
    Effect.gen(function* () {
      const { app } = yield* Shared
      const { id } = yield* app.open
      for (const key of ["a b", "é", "x".repeat(256), ""]) {
        const answer = yield* turn(app, id, key, { prompt: "/echo no" })
        assert.deepStrictEqual(
          [answer.status, answer.text],
          [
            422,
            '{"detail":[{"loc":["header","idempotency-key"],"msg":"must be 1 to 255 visible ASCII characters","type":"value_error"}]}'
          ],
          key
        )
      }
      assert.strictEqual((yield* app.state(id)).turn_count, 0)
      assert.strictEqual((yield* turn(app, id, "!~".repeat(127) + "x", { prompt: "/echo yes" })).status, 200)
    })
  )

  it.effect("is joined by a repeat while it runs", () =>
    Effect.gen(function* () {
      const { app } = yield* Shared
      const { id } = yield* app.open
      const body = { prompt: "/chunks 5 60" }
      const first = yield* Effect.forkChild(turn(app, id, "wait", body))
      yield* app.turns(id, 1)
      const again = yield* turn(app, id, "wait", body)
      assert.strictEqual(again.text, (yield* Fiber.join(first)).text)
      assert.strictEqual((yield* turnOf(again)).text, "1 2 3 4 5 ")
      assert.strictEqual((yield* app.state(id)).turn_count, 1)
    })
  )

  it.effect("outlives its connection, and a repeat gets the same turn", () =>
    Effect.gen(function* () {
      const { app, data } = yield* Shared
      const { id } = yield* app.open
      const back = turn(app, id, "back", { prompt: "/wait" })
      const first = yield* Effect.forkChild(back)
      yield* app.turns(id, 1)
      yield* Fiber.interrupt(first)
      const cancelled = yield* app.request("POST", `/sessions/${id}/cancel`)
      assert.strictEqual(cancelled.text, '{"ok":true,"cancelled":true}')
      const answer = yield* back
      assert.strictEqual(answer.status, 200, answer.text)
      assert.strictEqual((yield* turnOf(answer)).text, "Waiting.")
      assert.deepStrictEqual(yield* stopsOf(data, id, 1), ["cancelled"])
    })
  )

  it.effect("keeps the answers 502 of an agent and 410 of a closed session", () =>
    Effect.gen(function* () {
      const { app } = yield* Shared
      const { id } = yield* app.open
      const failed = yield* turn(app, id, "failed", { prompt: "/fail no luck" })
      const again = yield* turn(app, id, "failed", { prompt: "/fail no luck" })
      assert.deepStrictEqual([again.status, again.text], [502, failed.text])
      assert.include(failed.text, "no luck")
      const kept = yield* turn(app, id, "before", { prompt: "/echo before" })
      yield* app.request("DELETE", `/sessions/${id}`)
      for (let index = 0; index < 2; index++) {
        const closed = yield* turn(app, id, "after", { prompt: "/echo after" })
        assert.deepStrictEqual([closed.status, closed.text], [410, '{"detail":"session is closed"}'])
      }
      assert.strictEqual((yield* turn(app, id, "after", { prompt: "/echo other" })).text, otherBody)
      assert.strictEqual((yield* turn(app, id, "before", { prompt: "/echo before" })).text, kept.text)
      assert.strictEqual((yield* app.state(id)).turn_count, 2)
    })
  )

  it.effect("that was refused is executed when it is repeated", () =>
    Effect.gen(function* () {
      const { app } = yield* Shared
      const { id } = yield* app.open
      const refused = yield* turn(app, id, "refused", { prompt: "/echo late", files: ["ff_unknown"] })
      assert.strictEqual(refused.status, 404)
      assert.strictEqual((yield* turn(app, id, "refused", { prompt: "/echo late" })).status, 200)
      assert.strictEqual((yield* app.state(id)).turn_count, 1)
    })
  )

  it.effect("creates one session, and executes one run", () =>
    Effect.gen(function* () {
      const { app } = yield* Shared
      const open = post(app, "/sessions", "open", { agent: "demo", meta: { b: 1, a: [2] } })
      const [first, again] = yield* Effect.all([open, open], { concurrency: 2 })
      assert.strictEqual(first.status, 200)
      assert.strictEqual(again.text, first.text)
      const later = yield* post(app, "/sessions", "open", { meta: { a: [2], b: 1 }, agent: "demo" })
      assert.strictEqual(later.text, first.text)
      const listed = yield* app.request("GET", "/sessions")
      assert.lengthOf([...listed.text.matchAll(/"meta":{"b":1,"a":\[2\]}/g)], 1)

      const run = post(app, "/run", "run", { prompt: '/echo {"b": 1, "a": 2}' })
      const ran = yield* run
      assert.match(ran.text, /^{"ok":true,"result":{"b":1,"a":2},"duration_ms":\d+,"stop_reason":"end_turn"}$/)
      assert.strictEqual((yield* run).text, ran.text)
    })
  )

  it.effect("can be read as an event stream by a repeat, from its first event on", () =>
    Effect.gen(function* () {
      const { app } = yield* Shared
      const { id } = yield* app.open
      const follow = openStream(app, `/sessions/${id}/turn`, {
        body: { prompt: "/chunks 30 100" },
        headers: { "idempotency-key": "follow" }
      })
      yield* Effect.scoped(Effect.flatMap(follow, ({ next }) => next))
      const back = yield* follow
      const early = yield* back.next
      assert.match(early, /^event: text\ndata: {"type":"text","content":"1 "}\n\n/)
      assert.notInclude(early, "event: done")
      const rest = early + (yield* back.rest)
      const numbers = [...rest.matchAll(/"content":"(\d+ )"/g)].map(([, number]) => number).join("")
      const all = Array.from({ length: 30 }, (_, at) => `${at + 1} `).join("")
      assert.strictEqual(numbers, all)
      const json = yield* turn(app, id, "follow", { prompt: "/chunks 30 100" })
      assert.strictEqual((yield* turnOf(json)).text, all)
      const frames = yield* Effect.flatMap(follow, (answer) => answer.rest)
      assert.isTrue(frames.startsWith(`event: text\ndata: {"type":"text","content":"${all}"}\n\n`), frames)
      assert.strictEqual(frames.split("event: done")[1], rest.split("event: done")[1])
      assert.strictEqual((yield* app.state(id)).turn_count, 1)
    })
  )
})

it.live("a kept answer is replayed by the next server on the same data, and deleted with its app", () =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const data = yield* fs.makeTempDirectoryScoped()
    const adminToken = "0123456789abcdef0123456789abcdef"
    const first = yield* serve({ data })
    const app = yield* first.mint("app")
    const { id } = yield* app.open
    const answer = yield* turn(app, id, "kept", { prompt: "/echo kept-canary" })
    const opened = yield* post(app, "/sessions", "opened", { agent: "demo" })
    const dropped = yield* Effect.forkChild(turn(app, id, "cut", { prompt: "/wait" }))
    yield* app.turns(id, 2)
    assert.deepStrictEqual(keptIn(data), { cut: id, kept: id, opened: JSON.parse(opened.text).session_id })
    yield* first.stop
    yield* Fiber.interrupt(dropped)

    const second = yield* serve({ data, adminToken: Redacted.make(adminToken) })
    const again = second.adopt(app.token)
    assert.strictEqual((yield* turn(again, id, "kept", { prompt: "/echo kept-canary" })).text, answer.text)
    const cut = yield* turn(again, id, "cut", { prompt: "/wait" })
    assert.include(cut.text, '"stop_reason":"cancelled"')
    assert.strictEqual((yield* again.state(id)).turn_count, 2)
    const revoked = yield* call(`${second.url}/admin/tokens/app`, "DELETE", {
      headers: { authorization: `Bearer ${adminToken}` }
    })
    assert.strictEqual(revoked.status, 200)
    yield* second.stop
    const ledger = yield* fs.readFileString(`${data}/ledger.db`)
    assert.notInclude(ledger, "kept-canary")
  }).pipe(Effect.provide(NodeFileSystem.layer))
)
