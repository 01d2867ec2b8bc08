/**
 * A turn whose events are read as they happen.
 */
import { Effect, Fiber, Latch, Redacted } from "effect"
import { frames } from "../conformance/Expect.ts"
import * as Http from "../support/Http.ts"
import type { SessionInfo } from "../../src/index.ts"
import type { ForgeServe } from "./ForgeServe.ts"

type Frame = ReturnType<typeof frames>[number]

const none: Frame = { id: undefined, event: "none", data: {} }

/** Sends a turn; its connection is dropped with the scope. */
export const turn = Effect.fnUntraced(function* (server: ForgeServe, id: SessionInfo.SessionId, prompt: string) {
  let received = ""
  const begun = yield* Latch.make()
  const read = Effect.gen(function* () {
    const { next } = yield* Http.open(`${server.url}/sessions/${id}/turn`, "POST", {
      body: { prompt, timeout_secs: 60 },
      headers: { accept: "text/event-stream", authorization: `Bearer ${Redacted.value(server.token)}` }
    })
    for (let chunk = yield* next; chunk !== ""; chunk = yield* next) {
      received += chunk
      if (frames(received).some(({ event }) => event === "text")) yield* begun.open
    }
    return { text: textOf(frames(received)), last: frames(received).at(-1) ?? none }
  })
  const reading = yield* Effect.forkScoped(read)
  return {
    /** Waits until some text has come while the turn goes on. */
    begun: Effect.raceFirst(
      begun.await,
      Effect.andThen(Fiber.join(reading), Effect.die(new Error("the turn ended before its text: " + received)))
    ),
    /** Waits for its end, and returns its whole text and its last frame. */
    ended: Fiber.join(reading)
  }
})

const textOf = (all: ReadonlyArray<Frame>): string =>
  all.map(({ data, event }) => (event === "text" ? String(data["content"]) : "")).join("")
