/**
 * Runs a test as if in a page of a browser.
 */
import { Effect } from "effect"
import { vi } from "@effect/vitest"

/** Gives the program the global `location` of a page, as long as the effect runs. */
export const inPage =
  (origin: string) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.acquireUseRelease(
      Effect.sync(() => vi.stubGlobal("location", { origin })),
      () => effect,
      () => Effect.sync(() => vi.unstubAllGlobals())
    )
