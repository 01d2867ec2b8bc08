/**
 * The tokens that apps come with, as `ForgeAdmin` makes and lists them.
 *
 * One app is one name: sessions and files belong to the app whose token made them, and no other app sees them.
 *
 * **Example** (A token that is good from one network only, and is handed over once)
 *
 * ```ts
 * import { Effect, Redacted } from "effect"
 * import { ForgeAdmin } from "effect-clawdforge"
 *
 * const handOver = Effect.fn("handOver")(function* (store: (secret: string) => Effect.Effect<void>) {
 *   const admin = yield* ForgeAdmin.ForgeAdmin
 *   const minted = yield* admin.mint("billing", { ipCidrs: ["10.0.0.0/8"] })
 *   yield* store(Redacted.value(minted.token))
 * })
 * ```
 */
import type { DateTime, Redacted } from "effect"

/** A token that was just made. */
export interface MintedToken {
  /** The app's: 1 to 64 lower-case letters, digits, `_` or `-`. */
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
  /** The addresses that it is to be good from, as CIDRs, on top of what the server allows for all: any without. */
  readonly ipCidrs?: ReadonlyArray<string> | undefined
}
