/**
 * `GET /agents`: the agents of a server, as far as it knows them without starting one.
 */
import { Schema } from "effect"

/** One of the values that an agent offers. */
export interface Choice {
  readonly id: string
  /** For people to read. */
  readonly name: string
}

export const Choice = Schema.Struct({
  id: Schema.String,
  /** For people to read. */
  name: Schema.String
}).annotate({ identifier: "AgentChoice" })

/** An agent of a server. */
export interface Agent {
  readonly name: string
  /** Whether a request that names no agent gets this one. */
  readonly default: boolean
  /** Whether its program is installed there. */
  readonly ready: boolean
  /** One sentence, where it is not. */
  readonly reason?: string | undefined
  /** What it can do, by name: `images`, `mcp`, `load`, …; what is not there is not known. */
  readonly features: { readonly [name: string]: boolean }
  readonly models?: ReadonlyArray<Choice> | undefined
  readonly modes?: ReadonlyArray<Choice> | undefined
}

export const Agent = Schema.Struct({
  name: Schema.String,
  /** Whether a request that names no agent gets this one. */
  default: Schema.Boolean,
  /** Whether its program is installed there. */
  ready: Schema.Boolean,
  /** One sentence, where it is not. */
  reason: Schema.optional(Schema.String),
  /** What it can do, by name: `images`, `mcp`, `load`, …; what is not there is not known. */
  features: Schema.Record(Schema.String, Schema.Boolean),
  /** Its models, where known. */
  models: Schema.optional(Schema.Array(Choice)),
  /** Its modes, where known. */
  modes: Schema.optional(Schema.Array(Choice))
}).annotate({ identifier: "Agent" })

/** As the wire has it. */
export interface AgentEncoded extends Schema.Codec.Encoded<typeof Agent> {}

export const agent: Schema.Codec<Agent, AgentEncoded> = Agent

export const List = Schema.Struct({ ok: Schema.Literal(true), agents: Schema.Array(Agent) })
