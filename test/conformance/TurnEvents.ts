/**
 * WIRE.md, "Turn events": what older clients decode strictly.
 */
import { Effect } from "effect"
import { strict as assert } from "node:assert"
import type { Group } from "./Case.ts"
import * as Expect from "./Expect.ts"
import { App } from "./Server.ts"

/** The events of a turn in which the agent thinks, plans, reads a file with a tool, and answers. */
const recordedEvents = Effect.gen(function* () {
  const app = yield* App
  const id = yield* app.open()
  const files = [yield* app.upload("first line\n")]
  return Expect.turn(yield* app.turn(id, "What does it say?", { files }))
})

export const TurnEvents: Group = {
  name: "Turn events",
  cases: [
    {
      title: '{type: "text", content} with adjacent chunks merged',
      needs: ["demo", "ours"],
      test: Effect.gen(function* () {
        const app = yield* App
        const id = yield* app.open()
        const events = Expect.turn(yield* app.turn(id, "/chunks 20"))
        const texts = events.filter(({ type }) => type === "text")
        assert.deepEqual(texts, [
          { type: "text", content: Array.from({ length: 20 }, (_, at) => `${at + 1} `).join("") }
        ])
      })
    },
    {
      title: '{type: "thinking", content}, and {type: "tool_call", name, args, result}, one for each call',
      needs: ["demo", "ours"],
      test: Effect.gen(function* () {
        const events = yield* recordedEvents
        const ofType = (name: string) => events.filter(({ type }) => type === name)
        for (const event of [...ofType("thinking"), ...ofType("text")])
          Expect.fields(event, { content: Expect.isString })
        assert(ofType("thinking").length > 0)
        const [call, ...others] = ofType("tool_call")
        assert.deepEqual(others, [])
        const { args } = Expect.fields(call, { name: "Read notes.txt", result: Expect.like(/first line/) })
        Expect.fields(args, { path: Expect.isString })
      })
    },
    {
      title:
        "every event is an object with a type; content and name, where present, are strings; args, where present, is an object",
      needs: ["demo", "ours"],
      test: Effect.gen(function* () {
        for (const event of yield* recordedEvents) {
          Expect.fields(event, {
            type: Expect.isString,
            content: Expect.optional(Expect.isString),
            name: Expect.optional(Expect.isString),
            args: Expect.optional((args) => typeof args === "object" && args !== null && !Array.isArray(args))
          })
        }
      })
    },
    {
      title: "stop_reason of a turn is always a string",
      needs: ["demo", "ours"],
      test: Effect.gen(function* () {
        const app = yield* App
        const id = yield* app.open()
        Expect.turn(yield* app.turn(id, "/echo x"), { stop_reason: Expect.isString })
        Expect.failed(yield* app.turn(id, "/fail x"), { stop_reason: Expect.isString })
      })
    },
    {
      title: "text of a turn: the content of all text events, in order, no separator",
      needs: ["demo"],
      test: Effect.gen(function* () {
        const app = yield* App
        const id = yield* app.open()
        const said = "one\r\ntwo  é 🜚\u2028\t{}"
        assert.equal(Expect.textOf(Expect.turn(yield* app.turn(id, `/echo ${said}`))), said)
      })
    }
  ]
}
