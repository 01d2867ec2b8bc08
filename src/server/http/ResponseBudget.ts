/**
 * What large answers hold until they are sent, counted with the turns that agents have under way: an answer whose client
 * reads slowly takes its place from the next turn, and not from the heap.
 */
import { Effect } from "effect"
import { HttpRouter } from "effect/http"
import * as TurnBudget from "../TurnBudget.ts"

/** An event stream counts its own. */
export const layer = HttpRouter.middleware(
  (httpEffect) =>
    Effect.tap(httpEffect, ({ body }) =>
      body._tag === "Uint8Array" ? TurnBudget.hold(body.contentLength) : Effect.void
    ),
  { global: true }
)
