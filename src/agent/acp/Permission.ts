/**
 * Answers an agent's permission requests by the policy of its definition.
 */
import { Schema } from "effect"
import type { AgentDefinition } from "../Agent.ts"

const isOption = Schema.is(Schema.Struct({ optionId: Schema.String, kind: Schema.String }))

/** A permission request: what it is about, with all that the agent says of it, and the answers that it offers. */
export const Request = Schema.Struct({
  sessionId: Schema.String,
  toolCall: Schema.StructWithRest(Schema.Struct({ toolCallId: Schema.String }), [
    Schema.Record(Schema.String, Schema.Unknown)
  ]),
  options: Schema.Array(Schema.Unknown)
})
export type Request = typeof Request.Type

/** The response to the agent: one of its options, or that the turn was cancelled. */
export type Outcome = { readonly outcome: "cancelled" } | { readonly outcome: "selected"; readonly optionId: string }

/** The response, and the kind of the selected option for the turn's `Permission` event. */
export interface Decision {
  readonly decision: string
  readonly outcome: Outcome
}

export const cancelled: Decision = { decision: "cancelled", outcome: { outcome: "cancelled" } }

/**
 * The option kinds that each policy selects, in order of preference. "Once" comes before "always", because an agent may
 * save a permanent choice to the user's settings.
 */
const kinds = {
  allow: ["allow_once", "allow_always"],
  deny: ["reject_once", "reject_always"]
} as const

/** Whether the tool may run. */
export const isAllowed = ({ decision }: Decision): boolean => decision.startsWith("allow")

/** Selects an option by the policy; cancels the tool call if the agent offers none that fits. */
export const decide = (policy: AgentDefinition["permissions"], request: Request): Decision => {
  const options = request.options.filter(isOption)
  const chosen = kinds[policy].flatMap((kind) => options.filter((option) => option.kind === kind))[0]
  return chosen === undefined
    ? cancelled
    : { decision: chosen.kind, outcome: { outcome: "selected", optionId: chosen.optionId } }
}
