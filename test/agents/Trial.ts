/**
 * One agent set up for the checks: behind `forge serve` and our client, with an empty home and a stand-in of its model's
 * API, to which all its network traffic goes.
 */
import { Context, Effect, FileSystem, Path } from "effect"
import type { Agent, Place, Setup, Variant } from "./Agent.ts"
import * as ForgeServe from "./ForgeServe.ts"
import * as ModelApi from "./ModelApi.ts"

export class Trial extends Context.Service<
  Trial,
  {
    readonly agent: Agent
    readonly api: ModelApi.ModelApi
    /** The folder with its command. */
    readonly bin: string
    /** The complete environment that its settings make. */
    readonly env: Readonly<Record<string, string>>
    /** The home of the agent, with everything that it stores. */
    readonly home: string
    /** The server, with a token of an app. */
    readonly server: ForgeServe.ForgeServe
    /** How the server is started, but for its data folder. */
    readonly serve: Omit<ForgeServe.Options, "data">
  }
>()("test/agents/Trial") {}

/** The name in the agents table of the agent whose permission requests are denied. */
export const careful = "careful"

/** Variables that lead all traffic to the stand-in, and name a home of its own. */
const common = ({ home, url }: Place) => ({
  HOME: home,
  TMPDIR: home,
  HTTPS_PROXY: url,
  HTTP_PROXY: url,
  https_proxy: url,
  http_proxy: url,
  NO_PROXY: "127.0.0.1,localhost",
  no_proxy: "127.0.0.1,localhost",
  NODE_USE_ENV_PROXY: "1"
})

/** The agents table: the agent as it is, careful, and its variants. */
const tableOf = (agent: Agent, command: ReadonlyArray<string>, env: Setup["env"], place: Place) => {
  const row = ({ env: more, permissions = "allow" }: Variant) => ({ command, permissions, env: { ...env, ...more } })
  const variants: Readonly<Record<string, Variant>> = {
    [agent.name]: {},
    [careful]: { permissions: "deny" },
    ...agent.variants?.(place)
  }
  return Object.fromEntries(Object.entries(variants).map(([name, variant]) => [name, row(variant)]))
}

/** Sets up an agent whose command is in a folder; its server stops when the scope closes. */
export const make = Effect.fnUntraced(function* (agent: Agent, bin: string, home: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const api = yield* ModelApi.make(agent.asides)
  const place: Place = { home, url: api.url, key: ModelApi.key }
  const { env: own, files = {} } = agent.setup(place)
  for (const [name, content] of Object.entries(files)) {
    yield* fs.makeDirectory(path.dirname(path.join(home, name)), { recursive: true })
    yield* fs.writeFileString(path.join(home, name), content)
  }
  const env = { ...common(place), ...own }
  const [program, ...args] = agent.command
  // Not inside the home, which marks the processes of the agent.
  const folder = yield* fs.makeTempDirectoryScoped()
  const agents = path.join(folder, "agents.json")
  yield* fs.writeFileString(agents, JSON.stringify(tableOf(agent, [path.join(bin, program), ...args], env, place)))
  const serve = {
    agents,
    // Agents that are Node scripts must run on the same Node as this process.
    env: { HOME: folder, PATH: `${path.dirname(process.execPath)}:${process.env["PATH"] ?? ""}` }
  }
  const server = yield* ForgeServe.start({ ...serve, data: path.join(folder, "data") })
  return Trial.of({ agent, api, bin, env, home, serve, server })
})
