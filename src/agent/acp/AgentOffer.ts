/**
 * What an agent says that it can do, when it is initialized and when it opens a session.
 */
import { Predicate, Schema } from "effect"
import type { AgentOffer, Choice } from "../Agent.ts"
import * as SessionSettings from "./SessionSettings.ts"

/** The capabilities of an agent that say something to callers. */
export const Capabilities = Schema.Struct({
  loadSession: Schema.optionalKey(Schema.Unknown),
  promptCapabilities: Schema.optionalKey(Schema.Unknown),
  mcpCapabilities: Schema.optionalKey(Schema.Unknown),
  sessionCapabilities: Schema.optionalKey(Schema.NullOr(Schema.Struct({ resume: Schema.optionalKey(Schema.Unknown) })))
})
export type Capabilities = typeof Capabilities.Type

const isModes = Schema.is(Schema.Struct({ availableModes: Schema.Array(Schema.Unknown) }))
const isMode = Schema.is(Schema.Struct({ id: Schema.String, name: Schema.optionalKey(Schema.Unknown) }))

const has = (capabilities: unknown, name: string): boolean =>
  Predicate.hasProperty(capabilities, name) && capabilities[name] === true

/** Whether an agent calls MCP servers over HTTP. */
export const takesMcpServers = ({ mcpCapabilities }: Capabilities): boolean => has(mcpCapabilities, "http")

const modesOf = (offered: SessionSettings.Offered): ReadonlyArray<Choice> => {
  const { modes } = offered
  if (!isModes(modes)) return SessionSettings.choicesOf(offered, "mode")
  return modes.availableModes.filter(isMode).map(({ id, name }) => ({ id, name: Predicate.isString(name) ? name : id }))
}

export const make = (capabilities: Capabilities, offered: SessionSettings.Offered): AgentOffer => {
  const models = SessionSettings.choicesOf(offered, "model")
  const modes = modesOf(offered)
  const { loadSession, promptCapabilities, sessionCapabilities } = capabilities
  return {
    features: {
      images: has(promptCapabilities, "image"),
      audio: has(promptCapabilities, "audio"),
      embedded_context: has(promptCapabilities, "embeddedContext"),
      mcp: takesMcpServers(capabilities),
      load: loadSession === true,
      resume: Boolean(sessionCapabilities?.resume)
    },
    ...(models.length === 0 ? {} : { models }),
    ...(modes.length === 0 ? {} : { modes })
  }
}
