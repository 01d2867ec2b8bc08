/**
 * Counts each response against the budget of turns until it is sent: a client that reads slowly leaves less of the budget
 * to the next turn, instead of growing the heap.
 */
import { Effect } from "effect"
import { HttpRouter } from "effect/http"
import * as TurnBudget from "../TurnBudget.ts"

/** Event streams count themselves. */
export const layer = HttpRouter.middleware(
  (httpEffect) =>
    Effect.tap(httpEffect, ({ body }) =>
      body._tag === "Uint8Array" ? TurnBudget.hold(body.contentLength) : Effect.void
    ),
  { global: true }
)
