/**
 * Sets of networks in CIDR notation: `10.0.0.0/8`, `fd00::/8`.
 */
import { Context, Data, type Effect } from "effect"

/** A text is not a network in CIDR notation. */
export class NotANetwork extends Data.TaggedError("NotANetwork")<{ readonly cidr: string; readonly cause: unknown }> {
  override get message(): string {
    return `"${this.cidr}" is not a network, such as 10.0.0.0/8`
  }
}

export interface NetworkSet {
  readonly contains: (address: string) => boolean
}

export class Networks extends Context.Service<
  Networks,
  {
    /** The set of the addresses that are in any of these networks. */
    readonly parse: (cidrs: ReadonlyArray<string>) => Effect.Effect<NetworkSet, NotANetwork>
  }
>()("effect-clawdforge/server/access/Networks") {}
