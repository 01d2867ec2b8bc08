/**
 * The agents that sessions can be opened with, by name.
 */
import { Context, type Duration, Effect, Layer, Option, type Scope } from "effect"
import { ChildProcessSpawner } from "effect/process"
import type { AgentDefinition, AgentFailed, AgentOptionRefused, AgentSession } from "../../agent/Agent.ts"
import * as AgentLauncher from "../../agent/AgentLauncher.ts"
import { Watchdog } from "../../agent/process/Watchdog.ts"
import { TurnBudget } from "../TurnBudget.ts"

/** How a session of an agent is opened. */
export type OpenOptions = Omit<AgentLauncher.Options, "budget" | "stepTimeout">

export class Agents extends Context.Service<
  Agents,
  {
    readonly find: (name: string) => Option.Option<AgentDefinition>
    readonly names: ReadonlyArray<string>
    /** The agent of whoever names none: Claude, else the first. */
    readonly byDefault: Option.Option<AgentDefinition>
    /** Opens a session of an agent, which ends with the scope. */
    readonly open: (
      definition: AgentDefinition,
      options: OpenOptions
    ) => Effect.Effect<AgentSession, AgentFailed | AgentOptionRefused, Scope.Scope>
  }
>()("effect-clawdforge/server/agents/Agents") {}

export interface Options {
  readonly agents: ReadonlyArray<AgentDefinition>
  /** How long an agent may take for each step up to an open session; 30 seconds if not given. */
  readonly startTimeout?: Duration.Input | undefined
}

export const make = Effect.fnUntraced(function* ({ agents, startTimeout }: Options) {
  const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
  const watchdog = yield* Watchdog
  const budget = yield* TurnBudget
  const table = new Map(agents.map((definition) => [definition.name, definition]))
  return Agents.of({
    find: (name) => Option.fromNullishOr(table.get(name)),
    names: [...table.keys()],
    byDefault: Option.fromNullishOr(table.get("claude") ?? agents[0]),
    open: (definition, options) =>
      AgentLauncher.open(definition, { ...options, budget, stepTimeout: startTimeout }).pipe(
        Effect.provideService(ChildProcessSpawner.ChildProcessSpawner, spawner),
        Effect.provideService(Watchdog, watchdog)
      )
  })
})

export const layer = (options: Options) => Layer.effect(Agents, make(options))
