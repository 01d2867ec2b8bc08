/**
 * Which agents are installed, as far as that shows without starting one.
 */
import { Context, type Option } from "effect"

/** The program of an agent. */
export interface Program {
  readonly agent: string
  readonly program: string
  readonly isInstalled: boolean
}

export class InstalledAgents extends Context.Service<
  InstalledAgents,
  {
    /** Whether any agent is, so that sessions can be opened. */
    readonly any: boolean
    readonly claude: boolean
    /** The program of each agent in the table, and whether it is there. */
    readonly programs: ReadonlyArray<Program>
    /** The version of Claude's adapter, if the agent `claude` runs it. */
    readonly claudeVersion: Option.Option<string>
  }
>()("effect-clawdforge/server/agents/InstalledAgents") {}
