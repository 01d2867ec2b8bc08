/**
 * Whether the server can take work.
 */
import { Context, type Effect } from "effect"
import type { NotReady } from "../../api/Errors.ts"

export class Readiness extends Context.Service<
  Readiness,
  {
    readonly check: Effect.Effect<void, NotReady>
  }
>()("effect-clawdforge/server/upkeep/Readiness") {}
