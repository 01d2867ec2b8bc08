import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Forge, type Turn, TurnEvent } from "../src/index.ts"
import { readFileSync } from "node:fs"
import { answers } from "./support/Conversation.ts"
import { layer } from "./support/MemoryServer.ts"
import { created } from "./support/ScriptedServer.ts"

interface Recording {
  readonly events: ReadonlyArray<Readonly<Record<string, unknown>>>
}

/** The answer to one turn, of the same conversation, as a server of each dialect gave it. */
const recording = (dialect: string): Recording =>
  JSON.parse(readFileSync(new URL(`./support/dialects/${dialect}.json`, import.meta.url), "utf8")) as Recording

const replay = (json: unknown): Effect.Effect<Turn.Turn> =>
  Forge.withSession({}, (session) => session.turn("Read the invoice, check its sum, and tell me the total.")).pipe(
    Effect.provide(
      layer(
        answers({
          "POST /sessions": { json: created(1) },
          "POST /sessions/s-1/turn": { json },
          "DELETE /sessions/s-1": { json: { ok: true } }
        })
      )
    ),
    Effect.orDie
  )

const ofKind = <Tag extends TurnEvent.TurnEvent["_tag"]>(turn: Turn.Turn, tag: Tag) =>
  turn.events.filter(TurnEvent.is(tag))

/** What an event is in every dialect; raw messages also carry `_meta`. */
const known = ({ events }: Turn.Turn) =>
  events
    .filter((event) => event._tag !== "Unknown")
    .map((event) => Object.fromEntries(Object.entries(event).filter(([field]) => field !== "_meta")))

describe("seed: a recorded conversation with a server of each event dialect", () => {
  for (const dialect of ["normalised", "acp-nested", "acp-flat"]) {
    describe(dialect, () => {
      it.effect("the text of the turn leaves out thinking", () =>
        Effect.gen(function* () {
          const turn = yield* replay(recording(dialect))
          assert.strictEqual(turn.text, "I'll read the invoice.\nAdding up. The total is 42.00 € ✓")
          assert.deepStrictEqual(ofKind(turn, "Thinking"), [
            TurnEvent.Thinking({ content: "The invoice is attached. I should read it first." })
          ])
          assert.strictEqual<string>(turn.sessionId, "nX3pQ8vTk2Lw9aZe")
          assert.deepInclude(turn, { index: 1, stopReason: "end_turn" })
        })
      )

      it.effect(
        "each tool call becomes one event at the position of its first update, with the fields of all updates",
        () =>
          Effect.gen(function* () {
            const turn = yield* replay(recording(dialect))
            const text = "Paper 12.00\nInk 30.00\nTotal 42.00\n"
            const [read, bash, ...more] = ofKind(turn, "ToolCall")
            assert.deepInclude(read, {
              name: "Read",
              id: "toolu_01A",
              title: "Read /project/attachment-1.md",
              kind: "read",
              status: "completed",
              args: { file_path: "/project/attachment-1.md" },
              result: text,
              blocks: [{ type: "content", content: { type: "text", text } }],
              locations: [{ path: "/project/attachment-1.md", line: 1 }]
            })
            assert.deepInclude(bash, {
              name: "Bash",
              id: "toolu_01B",
              title: "`bc`",
              kind: "execute",
              status: "failed",
              args: { command: "echo 12+30 | bc", description: "Add up" },
              result: [{ type: "content", content: { type: "text", text: "bc: command not found" } }]
            })
            assert.isEmpty(more)
          })
      )

      it.effect("plans, usage and the other known events are read", () =>
        Effect.gen(function* () {
          const turn = yield* replay(recording(dialect))
          assert.deepStrictEqual(
            ofKind(turn, "Plan").map(({ entries }) => entries.map(({ status }) => status)),
            [
              ["in_progress", "pending"],
              ["completed", "in_progress"]
            ]
          )
          assert.deepStrictEqual(ofKind(turn, "Usage"), [
            TurnEvent.Usage({ used: 15432, size: 200000, cost: { amount: 0.0731, currency: "USD" } })
          ])
          assert.deepStrictEqual(ofKind(turn, "Content"), [
            TurnEvent.Content({
              role: "agent",
              block: { type: "image", mimeType: "image/png", data: "iVBORw0KGgo=" }
            })
          ])
          assert.deepStrictEqual(ofKind(turn, "SessionInfo"), [
            TurnEvent.SessionInfo({ title: "Checking an invoice", updatedAt: "2026-05-04T10:11:12Z" })
          ])
          assert.strictEqual(ofKind(turn, "Commands").length, 1)
        })
      )

      it.effect("envelopes and events of an unknown kind are kept unchanged", () =>
        Effect.gen(function* () {
          const turn = yield* replay(recording(dialect))
          const unknown = recording(dialect).events.filter((raw) => {
            const text = JSON.stringify(raw)
            return text.includes("celsius") || (raw["jsonrpc"] !== undefined && raw["method"] !== "session/update")
          })
          assert.deepStrictEqual(
            ofKind(turn, "Unknown").map(({ raw }) => raw),
            unknown
          )
        })
      )
    })
  }

  it.effect("all three dialects read the same", () =>
    Effect.gen(function* () {
      const [normalised, nested, flat] = yield* Effect.forEach(["normalised", "acp-nested", "acp-flat"], (dialect) =>
        Effect.map(replay(recording(dialect)), known)
      )
      assert.deepStrictEqual(nested, normalised)
      assert.deepStrictEqual(flat, normalised)
    })
  )

  it.effect("the _meta of an adapter stays on the event", () =>
    Effect.gen(function* () {
      for (const dialect of ["acp-nested", "acp-flat"]) {
        const [read] = ofKind(yield* replay(recording(dialect)), "ToolCall")
        assert.deepNestedInclude(read, { "_meta.claudeCode.toolResponse.file.numLines": 3 })
      }
    })
  )
})
