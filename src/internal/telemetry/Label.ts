/**
 * What of an answer may stand on spans and metrics: names. A server can put anything in their place, what the request kept
 * secret too.
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
