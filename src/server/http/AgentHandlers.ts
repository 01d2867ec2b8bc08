/**
 * The handler of the list of agents. It starts none: what an agent can do is known once it has opened a session.
 */
import { Effect, Option } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Api } from "../../api/Api.ts"
import type * as Wire from "../../wire/Agents.ts"
import { Agents } from "../agents/Agents.ts"
import { InstalledAgents, type Program } from "../agents/InstalledAgents.ts"

export const layer = HttpApiBuilder.group(
  Api,
  "agents",
  Effect.fnUntraced(function* (handlers) {
    const agents = yield* Agents
    const { programs } = yield* InstalledAgents

    const toAgent = ({ agent: name, isInstalled, program }: Program): Wire.Agent => ({
      name,
      default: Option.contains(agents.defaultName, name),
      ready: isInstalled,
      ...(isInstalled ? {} : { reason: `its program ${program} is not installed` }),
      ...Option.getOrElse(agents.offerOf(name), () => ({ features: {} }))
    })

    return handlers.handle("list", () => Effect.sync(() => ({ ok: true as const, agents: programs.map(toAgent) })))
  })
)
