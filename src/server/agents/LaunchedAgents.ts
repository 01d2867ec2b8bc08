/**
 * Agents whose sessions are processes of this machine.
 */
import { type Duration, Effect, FileSystem, Layer, Option } from "effect"
import { ChildProcessSpawner } from "effect/process"
import type { AgentDefinition, AgentOffer } from "../../agent/Agent.ts"
import * as AgentLauncher from "../../agent/AgentLauncher.ts"
import * as QuietTime from "../../agent/acp/QuietTime.ts"
import { Watchdog } from "../../agent/process/Watchdog.ts"
import { TurnBudget } from "../TurnBudget.ts"
import { Agents, missing } from "./Agents.ts"

export interface Options {
  readonly agents: ReadonlyArray<AgentDefinition>
  /** How long an agent may take for each step up to an open session; 30 seconds if not given. */
  readonly startTimeout?: Duration.Input | undefined
}

export const make = Effect.fnUntraced(function* ({ agents, startTimeout }: Options) {
  const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
  const fs = yield* FileSystem.FileSystem
  const watchdog = yield* Watchdog
  const budget = yield* TurnBudget
  const table = new Map(agents.map((definition) => [definition.name, definition]))
  const offers = new Map<string, AgentOffer>()
  const quietTimes = new Map(agents.map(({ name }) => [name, QuietTime.make()]))
  return Agents.of({
    has: (name) => table.has(name),
    names: [...table.keys()],
    defaultName: Option.map(Option.fromNullishOr(table.get("claude") ?? agents[0]), ({ name }) => name),
    offerOf: (name) => Option.fromNullishOr(offers.get(name)),
    open: Effect.fnUntraced(
      function* (name, options) {
        const definition = table.get(name)
        if (definition === undefined) return yield* missing(name)
        const session = yield* AgentLauncher.open(definition, {
          ...options,
          budget,
          quietTime: quietTimes.get(name),
          stepTimeout: startTimeout
        })
        // Some agents list their models only when they create a session.
        const before = offers.get(name)
        offers.set(name, options.load === undefined ? session.offer : { ...before, ...session.offer })
        return session
      },
      Effect.provideService(ChildProcessSpawner.ChildProcessSpawner, spawner),
      Effect.provideService(FileSystem.FileSystem, fs),
      Effect.provideService(Watchdog, watchdog)
    )
  })
})

export const layer = (options: Options) => Layer.effect(Agents, make(options))
