/**
 * The prompt that is on its way to an agent, and the reply that the script has for it.
 */
import { Context, Data, Effect } from "effect"
import type { AgentFails, Answered } from "./Reply.ts"

/** The agent does not get the prompt; the exchange has what the requester gets instead. */
export class Withheld extends Data.TaggedError("Withheld") {}

export interface Handing {
  /**
   * Chooses the reply, once: for a turn before it is counted, for a run when its agent gets the prompt. What the server
   * refuses until then takes no reply from the script.
   */
  readonly reply: Effect.Effect<Answered | AgentFails, Withheld>
}

export const Handing = Context.Reference<Handing>("effect-clawdforge/testing/Handing", {
  defaultValue: () => ({ reply: Effect.die(new Error("a prompt that the script does not know of")) })
})
