/**
 * Whether a server is alive, and what it can do.
 *
 * It is asked without a token, so it tells whether the address is right before the token matters.
 *
 * **Example** (Waiting until a server is there)
 *
 * ```ts
 * import { Effect, Schedule } from "effect"
 * import { Forge } from "effect-clawdforge"
 *
 * const version = Forge.health.pipe(
 *   Effect.retry(Schedule.spaced("1 second").pipe(Schedule.upTo({ duration: "1 minute" }))),
 *   Effect.map((health) => health.claudeVersion)
 * )
 * ```
 */

/** Liveness, versions, and what the server adds to the contract. A field is undefined where the server is too old for it. */
export interface Health {
  /** False where the server says of itself that it is not well: it answers, and calls may fail. */
  readonly ok: boolean
  /** Whether the agent `claude` is installed there. */
  readonly claudePresent: boolean
  readonly claudeVersion: string | null
  /** Whether sessions can be opened. */
  readonly acpxPresent: boolean | undefined
  readonly acpxVersion: string | null | undefined
  readonly openSessions: number | undefined
  /** The names of what the server adds to the contract: `stream`, `idempotency`, `cancel`, …; none on older ones. */
  readonly features: ReadonlyArray<string>
}
