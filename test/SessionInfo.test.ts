import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect } from "effect"
import { Forge, type SessionInfo } from "../src/index.ts"
import { answers, conversation } from "./support/Conversation.ts"
import { layer } from "./support/MemoryServer.ts"
import { created } from "./support/ScriptedServer.ts"

/** An id from anywhere, valid or not. */
const id = (text: string) => text as SessionInfo.SessionId

const row = {
  session_id: "s-1",
  app_name: "billing",
  agent: "demo",
  cwd: "/w/1",
  created_at: 1_700_000_000,
  last_turn_at: 1_700_000_060,
  turn_count: 3,
  closed_at: null,
  meta: { caller: "test", nested: { list: [1, null] } },
  model: "opus"
}

const closedRow = {
  session_id: "s-2",
  agent: "claude",
  cwd: "/w/2",
  created_at: 1_700_000_001,
  last_turn_at: null,
  turn_count: 0,
  closed_at: 1_700_000_100,
  meta: null,
  model: null
}

const at = (seconds: number) => DateTime.makeUnsafe(seconds * 1000)

const state = {
  id: id("s-1"),
  appName: "billing",
  agent: "demo",
  cwd: "/w/1",
  createdAt: at(1_700_000_000),
  lastTurnAt: at(1_700_000_060),
  turnCount: 3,
  closedAt: null,
  meta: { caller: "test", nested: { list: [1, null] } },
  model: "opus"
}

describe("seed: the state of sessions", () => {
  it.effect("list includes closed sessions by default, and always sends include_closed", () =>
    Effect.gen(function* () {
      const all = yield* Forge.sessions()
      const open = yield* Forge.sessions({ includeClosed: false })
      yield* Forge.sessions({ includeClosed: true })
      yield* Forge.sessions({ includeClosed: undefined })
      assert.deepStrictEqual(yield* conversation, [
        "GET /sessions?include_closed=true&limit=1000",
        "GET /sessions?include_closed=false&limit=1000",
        "GET /sessions?include_closed=true&limit=1000",
        "GET /sessions?include_closed=true&limit=1000"
      ])
      assert.deepStrictEqual(open, [state])
      assert.deepStrictEqual(all, [
        {
          id: id("s-2"),
          agent: "claude",
          cwd: "/w/2",
          createdAt: at(1_700_000_001),
          lastTurnAt: null,
          turnCount: 0,
          closedAt: at(1_700_000_100),
          meta: null,
          model: null
        },
        state
      ])
    }).pipe(
      Effect.provide(
        layer(
          answers({
            "GET /sessions?include_closed=true&limit=1000": {
              json: { ok: true, sessions: [closedRow, row], count: 2 }
            },
            "GET /sessions?include_closed=false&limit=1000": { json: { ok: true, sessions: [row], count: 1 } }
          })
        )
      )
    )
  )

  it.effect("the state of a session is read, with or without app_name", () =>
    Effect.gen(function* () {
      const session = yield* Forge.session({ agent: "demo" })
      assert.deepStrictEqual(yield* session.state, { ...state, live: true })
      const older = yield* session.state
      assert.isUndefined(older.appName)
      assert.deepInclude(older, { closedAt: at(1_700_000_100), live: false })
      assert.deepStrictEqual((yield* conversation).slice(1), ["GET /sessions/s-1", "GET /sessions/s-1"])
    }).pipe(
      Effect.scoped,
      Effect.provide(
        layer(
          answers({
            "POST /sessions": { json: created(1) },
            "DELETE /sessions/s-1": { json: { ok: true } },
            "GET /sessions/s-1": [
              { json: { ok: true, ...row, live: true } },
              { json: { ok: true, ...closedRow, session_id: "s-1", live: false } }
            ]
          })
        )
      )
    )
  )

  it.effect("a 404 is ApiError<404> NotFound, on attach and on turn", () =>
    Effect.gen(function* () {
      const onGet = yield* Effect.flip(Forge.attach(id("s-9")))
      const onTurn = yield* Effect.flip(Forge.withSession({}, (session) => session.turn("hello")))
      for (const error of [onGet, onTurn]) {
        assert.deepInclude(error, { _tag: "ApiError", status: 404, outcome: "refused", message: "session not found" })
        assert.deepNestedInclude(error, { "reason._tag": "NotFound", "reason.resource": "session" })
      }
      assert.deepInclude(onGet, { operation: "Session.state", method: "GET", path: "/sessions/s-9" })
      assert.deepInclude(onTurn, { operation: "Session.turn", method: "POST", path: "/sessions/s-1/turn" })
    }).pipe(
      Effect.provide(
        layer(
          answers({
            "POST /sessions": { json: created(1) },
            "GET /sessions/s-9": { status: 404, json: { detail: "session not found" } },
            "POST /sessions/s-1/turn": { status: 404, json: { detail: "session not found" } },
            "DELETE /sessions/s-1": { json: { ok: true } }
          })
        )
      )
    )
  )

  it.effect(
    "an id of letters, digits, _ and - is sent in the path unchanged; any other is refused without a request",
    () =>
      Effect.gen(function* () {
        const printable = Array.from({ length: 0x7f - 0x20 }, (_, nth) => `a${String.fromCharCode(0x20 + nth)}b`)
        const odd = ["", "..", "a/../healthz", "a%2Fb", "a\nb", "a\0b", "é", "😀", "\ud800", " s-1", "x".repeat(129)]
        const accepted: Array<string> = []
        for (const text of [...printable, ...odd, "x".repeat(128)]) {
          const error = yield* Effect.flip(Forge.attach(id(text)))
          if (error._tag === "ApiError" && error.outcome === "not-sent") {
            assert.strictEqual(error.status, 422)
            assert.strictEqual(error.message, "sessionId must be 1 to 128 letters, digits, _ or -")
          } else accepted.push(text)
        }
        const letters = "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
        assert.deepStrictEqual(accepted, [...letters.split("").map((letter) => `a${letter}b`), "x".repeat(128)])
        assert.deepStrictEqual(
          yield* conversation,
          accepted.map((text) => `GET /sessions/${text}`)
        )
      }).pipe(Effect.provide(layer(() => ({ status: 404, json: { detail: "session not found" } }))))
  )

  it.effect("an id of the server that breaks the contract is a malformed answer", () =>
    Effect.gen(function* () {
      for (const session_id of ["", "a/../healthz", null, 7]) {
        const error = yield* Effect.flip(Effect.scoped(Forge.session({ meta: { session_id } })))
        assert.deepNestedInclude(error, { _tag: "TransportError", "reason._tag": "Malformed", outcome: "acted" })
      }
      assert.strictEqual((yield* conversation).length, 4)
    }).pipe(
      Effect.provide(layer(({ body }) => ({ json: { ...created(1), session_id: JSON.parse(body).meta.session_id } })))
    )
  )
})
