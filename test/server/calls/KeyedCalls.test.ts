import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, it } from "@effect/vitest"
import { Effect, Fiber, FileSystem, Redacted } from "effect"
import { DatabaseSync } from "node:sqlite"
import { type App, call, openStream, serve, turnOf } from "../Support.ts"
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

  it.effect(
    "may have a number that is too large for a double in a field that is ignored, as a call without a key may",
    () =>
      Effect.gen(function* () {
        const { app } = yield* Shared
        const { id } = yield* app.open
        const bodies = {
          "/sessions": '{"agent":"demo","n":1e999}',
          [`/sessions/${id}/turn`]: '{"prompt":"/echo x","n":[-1e999]}',
          "/run": '{"prompt":"/echo x","n":{"m":1e999}}'
        }
        for (const [path, body] of Object.entries(bodies)) {
          const first = yield* post(app, path, "large", body)
          assert.strictEqual(first.status, 200, path)
          assert.strictEqual((yield* post(app, path, "large", body)).text, first.text, path)
        }
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

  it.effect(
    "has the same frames for a live reader, one that joins, one that resumes, and all of them after its end",
    () =>
      Effect.gen(function* () {
        const { app } = yield* Shared
        const { id } = yield* app.open
        const body = { prompt: "/chunks 20 60" }
        const follow = (after?: number | string) =>
          openStream(app, `/sessions/${id}/turn`, {
            body,
            headers: { "idempotency-key": "follow", ...(after === undefined ? {} : { "last-event-id": String(after) }) }
          })
        yield* Effect.scoped(Effect.flatMap(follow(), ({ next }) => next))
        const back = yield* follow()
        const early = yield* back.next
        assert.match(early, /^id: 1\nevent: text\ndata: {"type":"text","content":"1 "}\n\n/)
        assert.notInclude(early, "event: done")
        const resumed = yield* follow(1)
        const rest = early + (yield* back.rest)
        const frames = rest.split(/(?<=\n\n)/).filter((frame) => !frame.startsWith(":"))
        const numbers = [...rest.matchAll(/^id: (\d+)$/gm)].map(([, number]) => Number(number))
        assert.deepStrictEqual(
          numbers,
          frames.slice(0, -1).map((_, at) => at + 1)
        )
        const all = Array.from({ length: 20 }, (_, at) => `${at + 1} `).join("")
        assert.strictEqual([...rest.matchAll(/"content":"(\d+ )"/g)].map(([, number]) => number).join(""), all)

        const without = (text: string) => text.replaceAll(": keep-alive\n\n", "")
        assert.strictEqual(without(yield* resumed.rest), frames.slice(1).join(""))
        const json = yield* turn(app, id, "follow", body)
        assert.strictEqual((yield* turnOf(json)).text, all)
        for (const after of [undefined, 0, 1, 17, frames.length - 1, frames.length, "9".repeat(400)]) {
          const again = yield* Effect.flatMap(follow(after), (answer) => answer.rest)
          assert.strictEqual(
            again,
            frames.slice(Math.min(Number(after ?? 0), frames.length - 1)).join(""),
            String(after)
          )
        }
        assert.strictEqual((yield* app.state(id)).turn_count, 1)
      })
  )

  it.effect("is resumed by the number of a frame, with its key, and not started again when it is not known", () =>
    Effect.gen(function* () {
      const { app } = yield* Shared
      const { id } = yield* app.open
      const ask = (headers: Readonly<Record<string, string>>) =>
        app.request("POST", `/sessions/${id}/turn`, { body: { prompt: "/echo no" }, headers })
      for (const wrong of ["-1", "1.5", "x", "", "1e3"]) {
        const answer = yield* ask({ "idempotency-key": "number", "last-event-id": wrong })
        assert.deepStrictEqual(
          [answer.status, answer.text],
          [
            422,
            '{"detail":[{"loc":["header","last-event-id"],"msg":"must be the number of a frame, a whole number","type":"value_error"}]}'
          ],
          wrong
        )
      }
      const keyless = yield* ask({ "last-event-id": "0" })
      assert.deepStrictEqual(
        [keyless.status, keyless.text],
        [
          422,
          '{"detail":[{"loc":["header","last-event-id"],"msg":"needs the Idempotency-Key of the call: without one this is a new call","type":"value_error"}]}'
        ]
      )
      const known = { "idempotency-key": "forgotten", "last-event-id": "3" }
      const lost = '"error":"outcome unknown: the server keeps nothing of this call any more"'
      const json = yield* ask(known)
      assert.strictEqual(json.status, 502)
      assert.include(json.text, lost)
      const stream = yield* ask({ ...known, accept: "text/event-stream" })
      assert.isTrue(
        stream.text.startsWith(
          `event: gap\ndata: {"after":3,"next":null}\n\nevent: error\ndata: {"status":502,"body":{`
        ),
        stream.text
      )
      assert.include(stream.text, lost)
      assert.strictEqual((yield* app.state(id)).turn_count, 0)
      assert.strictEqual((yield* ask({ ...known, "last-event-id": "0" })).status, 200)
    })
  )
})

it.live(
  "a kept answer and its frames are replayed by the next server on the same data, and deleted with their app",
  () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const data = yield* fs.makeTempDirectoryScoped()
      const adminToken = "0123456789abcdef0123456789abcdef"
      const first = yield* serve({ data })
      const app = yield* first.mint("app")
      const { id } = yield* app.open
      const answer = yield* turn(app, id, "kept", { prompt: "/echo kept-canary" })
      const stream = (app: App, prompt: string, headers: Readonly<Record<string, string>>) =>
        app.request("POST", `/sessions/${id}/turn`, {
          body: { prompt },
          headers: { accept: "text/event-stream", ...headers }
        })
      const frames = yield* stream(app, "/echo kept-canary", { "idempotency-key": "kept" })
      const opened = yield* post(app, "/sessions", "opened", { agent: "demo" })
      const dropped = yield* Effect.forkChild(turn(app, id, "cut", { prompt: "/wait" }))
      yield* app.turns(id, 2)
      assert.deepStrictEqual(keptIn(data), { cut: id, kept: id, opened: JSON.parse(opened.text).session_id })
      yield* first.stop
      yield* Fiber.interrupt(dropped)

      const second = yield* serve({ data, adminToken: Redacted.make(adminToken) })
      const again = second.adopt(app.token)
      assert.strictEqual((yield* turn(again, id, "kept", { prompt: "/echo kept-canary" })).text, answer.text)
      const replayed = yield* stream(again, "/echo kept-canary", { "idempotency-key": "kept" })
      assert.strictEqual(replayed.text, frames.text)
      const resumed = yield* stream(again, "/echo kept-canary", { "idempotency-key": "kept", "last-event-id": "1" })
      assert.strictEqual(resumed.text, frames.text.slice(frames.text.indexOf("id: 2\n")))
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
