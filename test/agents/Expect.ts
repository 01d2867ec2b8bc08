/**
 * The expectations of the checks.
 */
import { Data, Effect } from "effect"

/** A check failed. */
export class CheckFailed extends Data.TaggedError("CheckFailed")<{ readonly message: string }> {}

/** Fails the check with the actual value, shortened, unless the condition holds. */
export const expect = Effect.fnUntraced(function* (condition: boolean, what: string, actual?: unknown) {
  if (condition) return
  const seen = actual === undefined ? "" : `: ${JSON.stringify(actual).slice(0, 2_000)}`
  return yield* new CheckFailed({ message: `${what}${seen}` })
})
