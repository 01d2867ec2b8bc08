/**
 * Seals secrets of apps, so that who reads the ledger alone does not have them.
 */
import { Context, type Effect, type Option } from "effect"

export class Sealed extends Context.Service<
  Sealed,
  {
    /** Seals a text. Only with the same context it can be opened again: the session that it belongs to. */
    readonly seal: (text: string, context: string) => Effect.Effect<string>
    /** Opens a sealed text; none where it was sealed with another key or for another context. */
    readonly open: (sealed: string, context: string) => Effect.Effect<Option.Option<string>>
  }
>()("effect-clawdforge/server/storage/Sealed") {}
