/**
 * One request to the fake, and what becomes of its response.
 */
import { Context } from "effect"
import type { Refused } from "./Reply.ts"

/** What the requester gets instead of the server's response. */
export type Outcome =
  | { readonly _tag: "Page"; readonly page: Refused }
  | { readonly _tag: "Reset" }
  | { readonly _tag: "Silence" }
  /** The response, whose connection breaks after so many bytes. */
  | { readonly _tag: "CutAt"; readonly bytes: number }
  | { readonly _tag: "Defect"; readonly defect: unknown }

export interface Exchange {
  outcome?: Outcome | undefined
}

/** The request that is being answered. */
export const Exchange = Context.Reference<Exchange>("effect-clawdforge/testing/Exchange", {
  defaultValue: () => ({})
})
