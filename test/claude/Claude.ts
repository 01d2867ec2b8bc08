/**
 * Sets up Claude for the checks: behind our server and client, with an empty home and a fake Messages API.
 */
import { Context, Data, Effect, FileSystem, Layer } from "effect"
import type { AgentDefinition } from "../../src/agent/Agent.ts"
import * as ClaudeAgent from "../../src/agent/ClaudeAgent.ts"
import * as NodeForgeClient from "../../src/node/NodeForgeClient.ts"
import { ForgeServer, layer as layerServer } from "../../src/server/ForgeServer.ts"
import type { Adapter } from "./Adapter.ts"
import * as MessagesApi from "./MessagesApi.ts"

/** The setup shared by all checks. */
export class Claude extends Context.Service<
  Claude,
  {
    readonly api: MessagesApi.MessagesApi
    /** The folder with the adapter's command. */
    readonly bin: string
    readonly definition: AgentDefinition
    /** The home of the agents, with everything that they store. */
    readonly home: string
  }
>()("test/claude/Claude") {}

/** A check failed. */
export class CheckFailed extends Data.TaggedError("CheckFailed")<{ readonly message: string }> {}

/** Fails the check with the actual value, shortened, unless the condition holds. */
export const expect = Effect.fnUntraced(function* (condition: boolean, actual: unknown) {
  if (!condition) return yield* new CheckFailed({ message: JSON.stringify(actual).slice(0, 1_000) })
})

/** A URL that refuses connections. */
const unreachable = "http://127.0.0.1:9"

/** The agent's process writes its pid to its working directory, so that a check can kill it. */
const pidFile = "adapter.pid"
const recordPid = (command: AgentDefinition["command"]): AgentDefinition["command"] => [
  "/bin/sh",
  "-c",
  `echo $$ > ${pidFile}; exec "$@"`,
  "sh",
  ...command
]

/** The pid of the agent that runs in a working directory. */
export const pidIn = Effect.fnUntraced(function* (cwd: string) {
  const fs = yield* FileSystem.FileSystem
  return Number(yield* fs.readFileString(`${cwd}/${pidFile}`))
})

/** Settings that an operator may have, and that must not apply to callers of a server. */
const operatorSettings = (marker: string) => ({
  permissions: { defaultMode: "acceptEdits", allow: ["Bash(*)", "Write"] },
  hooks: { UserPromptSubmit: [{ hooks: [{ type: "command", command: `touch ${marker}` }] }] }
})

/** A file that the operator's hook creates. */
export const hookMarker = (home: string): string => `${home}/hook-has-run`

/** The agents of the server: Claude with default and with various other settings. */
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
    command: recordPid(definition.command),
    env: { ...definition.env, ...more.env }
  })
  const once = { CLAUDE_CODE_MAX_RETRIES: "1" }
  return [
    agent("claude"),
    agent("careful", { permissions: "deny" }),
    agent("operated", { permissions: "deny", env: { CLAUDE_CONFIG_DIR: operated } }),
    agent("hasty", { env: once }),
    agent("offline", { env: { ...once, ANTHROPIC_BASE_URL: unreachable } }),
    agent("wrong", { env: { ...once, ANTHROPIC_API_KEY: "another-key" } }),
    agent("keyless", { env: { ANTHROPIC_API_KEY: "" } })
  ]
})

/** A client of our server with these agents. */
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

/** Sets up Claude with a temporary home. All its network traffic goes to the fake API. */
export const make = Effect.fnUntraced(function* (adapter: Adapter) {
  const fs = yield* FileSystem.FileSystem
  const home = yield* fs.makeTempDirectoryScoped()
  const api = yield* MessagesApi.make
  const installed = yield* ClaudeAgent.find({ folders: [adapter.bin] })
  const definition: AgentDefinition = {
    ...installed,
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
