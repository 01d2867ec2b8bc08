/**
 * How often, and for how long, a client retries calls that are safe to retry.
 *
 * A call is retried only where that cannot make anything happen twice: it was not sent, the server refused it for now, or
 * its outcome is unknown and the call only reads, closes, or carries an idempotency key that the server remembers.
 *
 * **Example** (A client that waits out a longer restart of its server)
 *
 * ```ts
 * import { Redacted } from "effect"
 * import { NodeForgeClient } from "effect-clawdforge/node"
 *
 * const layer = NodeForgeClient.layer({
 *   token: Redacted.make("cf_…"),
 *   retry: { times: 8, maxPause: "10 seconds", budget: "3 minutes" }
 * })
 * ```
 */
import type { Duration } from "effect"

/** The bounds of retries; each comment names the default of an option that is not given. */
export interface RetryPolicy {
  /** How often a call is repeated at most: 3. */
  readonly times?: number | undefined
  /** The pause before the first repeat, doubled for each further one, and longer by up to a half: 200 milliseconds. */
  readonly pause?: Duration.Input | undefined
  /** The longest pause that this client chooses by itself: 5 seconds. */
  readonly maxPause?: Duration.Input | undefined
  /** The longest `Retry-After` that is obeyed; a call that is asked to wait longer fails at once: 30 seconds. */
  readonly maxRetryAfter?: Duration.Input | undefined
  /** How long after its first failure a call may still be repeated: 1 minute. */
  readonly budget?: Duration.Input | undefined
}
