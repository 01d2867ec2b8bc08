/**
 * The server's table of agents, by name.
 */
import { Context, type Duration, Effect, Layer, Option, type Scope } from "effect"
import { ChildProcessSpawner } from "effect/process"
import {
  type AgentDefinition,
  AgentFailed,
  type AgentOffer,
  type AgentOptionRefused,
  type AgentSession
} from "../../agent/Agent.ts"
import * as AgentLauncher from "../../agent/AgentLauncher.ts"
import * as QuietTime from "../../agent/acp/QuietTime.ts"
import { Invalid } from "../../api/Errors.ts"
import { Watchdog } from "../../agent/process/Watchdog.ts"
import { TurnBudget } from "../TurnBudget.ts"

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
      Effect.provideService(Watchdog, watchdog)
    )
  })
})

export const layer = (options: Options) => Layer.effect(Agents, make(options))
