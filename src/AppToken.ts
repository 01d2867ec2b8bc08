/**
 * The tokens that apps come with.
 */
import type { DateTime, Redacted } from "effect"

/** A token that was just made. */
export interface MintedToken {
  readonly name: string
  /** The token itself, which the server tells this once and keeps no copy of. */
  readonly token: Redacted.Redacted
  /** The addresses that it is good from; null where that is not narrowed. */
  readonly ipCidrs: ReadonlyArray<string> | null
}

/** A token as the server lists it. */
export interface TokenInfo {
  readonly name: string
  readonly ipCidrs: ReadonlyArray<string> | null
  readonly createdAt: DateTime.Utc
}

/** How a token is made. */
export interface MintOptions {
  /** The addresses that it is to be good from, as CIDRs. */
  readonly ipCidrs?: ReadonlyArray<string> | undefined
}
