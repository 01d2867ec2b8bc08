/**
 * How a server is.
 */

/** Liveness, versions, and what the server adds to the contract. A field is undefined where the server is too old for it. */
export interface Health {
  readonly ok: boolean
  /** Whether the agent `claude` is installed there. */
  readonly claudePresent: boolean
  readonly claudeVersion: string | null
  /** Whether sessions can be opened. */
  readonly acpxPresent: boolean | undefined
  readonly acpxVersion: string | null | undefined
  readonly openSessions: number | undefined
  /** The names of what the server adds to the contract: `stream`, `idempotency`, `cancel`, … */
  readonly features: ReadonlyArray<string>
}
