/**
 * Which strings of a response may become span and metric attributes: well-formed names that hold no secret. A server
 * can send anything in their place.
 */
import { Schema } from "effect"
import { AgentName, ModelName, SessionId } from "../../wire/Ids.ts"
import * as Secrets from "../failure/Secrets.ts"

const label = (schema: Schema.Schema<string>) => {
  const isOne = Schema.is(schema)
  return (name: unknown): name is string => isOne(name) && Secrets.scrub(name, []) === name
}

export const isAgent = label(AgentName)

export const isModel = label(ModelName)

export const isConversation = label(SessionId)

/** A reason is one word. */
export const isStopReason = label(Schema.String.check(Schema.isPattern(/^[a-z_]{1,64}$/)))
