import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as EventFrames from "../../../src/server/calls/EventFrames.ts"
import { toEvent } from "../../../src/wire/AcpUpdate.ts"
import { kinds } from "../../../src/wire/EventKinds.ts"

describe("EventFrames", () => {
  it.effect("an agent's own event of a type that the contract uses for its frames is sent as unknown", () =>
    Effect.gen(function* () {
      for (const type of ["done", "error", "gap", "ask", "tool_request"]) {
        assert.notProperty(kinds, type)
        const update = { sessionUpdate: type, type, after: 1, next: null }
        const frame = yield* EventFrames.fromEvent(3, toEvent(update, new Map()))
        assert.strictEqual(
          frame,
          `id: 3\nevent: unknown\ndata: ${JSON.stringify({ type: "unknown", raw: update })}\n\n`
        )
      }
    })
  )

  it.effect("the text of a frame has no line break of its own, so that frames can be told apart", () =>
    Effect.gen(function* () {
      const content = "a\n\nid: 9\nevent: done\r\ndata: {}\u2028\u2029\n\n"
      const frames = yield* Effect.forEach([1, 2], (id) => EventFrames.fromEvent(id, { _tag: "Thinking", content }))
      assert.deepStrictEqual(EventFrames.split(frames.join("")), frames)
      assert.strictEqual(JSON.parse(frames[0]?.split("\n")[2]?.replace("data: ", "") ?? "").content, content)
    })
  )
})
