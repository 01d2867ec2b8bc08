/**
 * The answer to an agent's request to use a tool.
 */
import { Schema } from "effect"
import type { AgentDefinition } from "../Agent.ts"

const isOption = Schema.is(Schema.Struct({ optionId: Schema.String, kind: Schema.String }))

/** A request for permission, read as loosely as it can be answered. */
export const Request = Schema.Struct({
  sessionId: Schema.String,
  toolCall: Schema.Struct({ toolCallId: Schema.String }),
  options: Schema.Array(Schema.Unknown)
})
export type Request = typeof Request.Type

/** What the agent is told: one of its options, or that the turn was cancelled. */
export type Outcome = { readonly outcome: "cancelled" } | { readonly outcome: "selected"; readonly optionId: string }

/** The answer, and the kind of option that it took, for the turn's events. */
export interface Decision {
  readonly decision: string
  readonly outcome: Outcome
}

export const cancelled: Decision = { decision: "cancelled", outcome: { outcome: "cancelled" } }

/**
 * The kinds of option that a policy takes, the best first. Once comes before always, because an agent may write what
 * was always allowed into the user's own settings.
 */
const kinds = {
  allow: ["allow_once", "allow_always"],
  deny: ["reject_once", "reject_always"]
} as const

/** Where the agent offers nothing that the policy could take, the tool call is cancelled. */
export const decide = (policy: AgentDefinition["permissions"], request: Request): Decision => {
  const options = request.options.filter(isOption)
  const chosen = kinds[policy].flatMap((kind) => options.filter((option) => option.kind === kind))[0]
  return chosen === undefined
    ? cancelled
    : { decision: chosen.kind, outcome: { outcome: "selected", optionId: chosen.optionId } }
}
