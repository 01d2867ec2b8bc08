/**
 * Claude as the checks meet it: behind our server, asked by our client, with a home of its own and the stand-in for a model.
 */
import { Context, Data, Effect, FileSystem, Layer } from "effect"
import type { AgentDefinition } from "../../src/agent/Agent.ts"
import * as ClaudeAgent from "../../src/agent/ClaudeAgent.ts"
import * as NodeForgeClient from "../../src/node/NodeForgeClient.ts"
import { ForgeServer, layer as layerServer } from "../../src/server/ForgeServer.ts"
import type { Adapter } from "./Adapter.ts"
import * as MessagesApi from "./MessagesApi.ts"

/** What all checks share. */
export class Claude extends Context.Service<
  Claude,
  {
    readonly api: MessagesApi.MessagesApi
    /** The folder of the adapter's command. */
    readonly bin: string
    readonly definition: AgentDefinition
    /** The home of the agents: whatever they keep is in there. */
    readonly home: string
  }
>()("test/claude/Claude") {}

/** Claude did something else than it should. */
export class Otherwise extends Data.TaggedError("Otherwise")<{ readonly message: string }> {}

/** Goes on where what was seen is what should be; else what was seen is told, as far as it fits. */
export const see = Effect.fnUntraced(function* (right: boolean, seen: unknown) {
  if (!right) return yield* new Otherwise({ message: JSON.stringify(seen).slice(0, 1_000) })
})

/** A port that nobody listens on. */
const nobody = "http://127.0.0.1:9"

/** The agent's process writes its id where its session works, so that a check can kill it. */
const pidFile = "adapter.pid"
const recorded = (command: AgentDefinition["command"]): AgentDefinition["command"] => [
  "/bin/sh",
  "-c",
  `echo $$ > ${pidFile}; exec "$@"`,
  "sh",
  ...command
]

/** The id of the agent's process, of the session that works in a folder. */
export const pidIn = Effect.fnUntraced(function* (cwd: string) {
  const fs = yield* FileSystem.FileSystem
  return Number(yield* fs.readFileString(`${cwd}/${pidFile}`))
})

/** What an operator may have set for himself, and no caller of a server should get. */
const operatorSettings = (marker: string) => ({
  permissions: { defaultMode: "acceptEdits", allow: ["Bash(*)", "Write"] },
  hooks: { UserPromptSubmit: [{ hooks: [{ type: "command", command: `touch ${marker}` }] }] }
})

/** Appears in the operator's home if his hook has run. */
export const hookMarker = (home: string): string => `${home}/hook-has-run`

/** The agents of the server: Claude as it is, and as it is for somebody with other settings. */
const makeAgents = Effect.gen(function* () {
  const { definition, home } = yield* Claude
  const fs = yield* FileSystem.FileSystem
  const operated = `${home}/operated`
  yield* fs.makeDirectory(operated)
  yield* fs.writeFileString(`${operated}/settings.json`, JSON.stringify(operatorSettings(hookMarker(home))))
  const agent = (name: string, more: Partial<AgentDefinition> = {}): AgentDefinition => ({
    ...definition,
    ...more,
    name,
    command: recorded(definition.command),
    env: { ...definition.env, ...more.env }
  })
  const once = { CLAUDE_CODE_MAX_RETRIES: "1" }
  return [
    agent("claude"),
    agent("careful", { permissions: "deny" }),
    agent("operated", { permissions: "deny", env: { CLAUDE_CONFIG_DIR: operated } }),
    agent("hasty", { env: once }),
    agent("offline", { env: { ...once, ANTHROPIC_BASE_URL: nobody } }),
    agent("wrong", { env: { ...once, ANTHROPIC_API_KEY: "another-key" } }),
    agent("keyless", { env: { ANTHROPIC_API_KEY: "" } })
  ]
})

/** Our server with these agents, and our client of it. */
export const layerClient = Layer.unwrap(
  Effect.gen(function* () {
    const server = layerServer({ agents: yield* makeAgents, port: 0, grace: "1 second" })
    const client = Layer.unwrap(
      Effect.gen(function* () {
        const { mint, url } = yield* ForgeServer
        return NodeForgeClient.layer({ url, token: yield* mint("claude-checks") })
      })
    )
    return Layer.provide(client, server)
  })
)

/** Claude with an empty home, which goes with the scope. Whatever it would reach outside goes to the stand-in. */
export const make = Effect.fnUntraced(function* (adapter: Adapter) {
  const fs = yield* FileSystem.FileSystem
  const home = yield* fs.makeTempDirectoryScoped()
  const api = yield* MessagesApi.make
  const found = yield* ClaudeAgent.find({ folders: [adapter.bin] })
  const definition: AgentDefinition = {
    ...found,
    passEnv: [],
    env: {
      HOME: home,
      TMPDIR: home,
      CLAUDE_CONFIG_DIR: `${home}/config`,
      ANTHROPIC_BASE_URL: api.url,
      ANTHROPIC_API_KEY: MessagesApi.key,
      HTTPS_PROXY: api.url,
      HTTP_PROXY: api.url,
      NO_PROXY: "127.0.0.1",
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1"
    }
  }
  return Claude.of({ api, bin: adapter.bin, definition, home })
})
