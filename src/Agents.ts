/**
 * The agents of a server, as far as it knows them without starting one.
 *
 * **Example** (The models of an agent)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Forge } from "effect-clawdforge"
 *
 * const models = Forge.agents.pipe(
 *   Effect.map((agents) => agents.find(({ name }) => name === "claude")?.models ?? [])
 * )
 * ```
 */
import type { Schema } from "effect"
import * as Wire from "./wire/Agents.ts"

export type { AgentEncoded } from "./wire/Agents.ts"

/** One of the values that an agent offers: a model or a mode. */
export type Choice = Wire.Choice

/** An agent of a server. What the server does not know yet, since no session of the agent was opened, is undefined. */
export type Agent = Wire.Agent

/** The codec of an agent. */
export const Agent: Schema.Codec<Agent, Wire.AgentEncoded> = Wire.agent
