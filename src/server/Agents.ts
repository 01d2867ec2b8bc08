/**
 * The agents that sessions can be opened with, by name.
 */
import { Context, Effect, Layer, Option, type Scope } from "effect"
import type { ChildProcessSpawner } from "effect/process"
import type { AgentDefinition, AgentFailed, AgentOptionRefused, AgentSession } from "../agent/Agent.ts"
import * as AgentProcess from "../agent/AgentProcess.ts"
import type { Watchdog } from "../agent/Watchdog.ts"

export class Agents extends Context.Service<
  Agents,
  {
    readonly find: (name: string) => Option.Option<AgentDefinition>
    /** Opens a session of an agent, which ends with the scope. */
    readonly open: (
      definition: AgentDefinition,
      options: AgentProcess.Options
    ) => Effect.Effect<AgentSession, AgentFailed | AgentOptionRefused, Scope.Scope>
  }
>()("effect-clawdforge/server/Agents") {}

export interface Options {
  readonly agents: ReadonlyArray<AgentDefinition>
}

export const make = Effect.fnUntraced(function* (options: Options) {
  const services = yield* Effect.context<ChildProcessSpawner.ChildProcessSpawner | Watchdog>()
  const table = new Map(options.agents.map((definition) => [definition.name, definition]))
  return Agents.of({
    find: (name) => Option.fromNullishOr(table.get(name)),
    open: (definition, options) => Effect.provideContext(AgentProcess.open(definition, options), services)
  })
})

export const layer = (options: Options) => Layer.effect(Agents, make(options))
