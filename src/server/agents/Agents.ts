/**
 * The server's table of agents, by name.
 */
import { Context, type Effect, type Option, type Scope } from "effect"
import { AgentFailed, type AgentOffer, type AgentOptionRefused, type AgentSession } from "../../agent/Agent.ts"
import type * as AgentLauncher from "../../agent/AgentLauncher.ts"
import { Invalid } from "../../api/Errors.ts"

/** How a session of an agent is opened. */
export type OpenOptions = Omit<AgentLauncher.Options, "budget" | "quietTime" | "stepTimeout">

export class Agents extends Context.Service<
  Agents,
  {
    readonly has: (name: string) => boolean
    readonly names: ReadonlyArray<string>
    /** The agent of a request that names none: `claude`, else the first of the table. */
    readonly defaultName: Option.Option<string>
    /** What an agent said when it last opened a session, of this server. */
    readonly offerOf: (name: string) => Option.Option<AgentOffer>
    /** Opens a session of an agent, which ends with the scope. */
    readonly open: (
      name: string,
      options: OpenOptions
    ) => Effect.Effect<AgentSession, AgentFailed | AgentOptionRefused, Scope.Scope>
  }
>()("effect-clawdforge/server/agents/Agents") {}

/** The refusal of a request for an agent that is not in the table. */
export const unknown = ({ names }: Agents["Service"]) =>
  Invalid.body("agent", `no agent of this name: the server has ${names.join(", ")}`)

/** The failure of an agent that is not in the table. */
export const missing = (name: string) =>
  new AgentFailed({
    error: `Agent ${name} is not in the server's table of agents.`,
    stderr: "",
    stopReason: "error",
    kind: "unknown_agent"
  })
