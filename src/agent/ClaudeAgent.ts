/**
 * The definition of Claude, run through its adapter to the Agent Client Protocol, and how to find that adapter.
 */
import { Data, Effect, FileSystem, Option, Path, Schema } from "effect"
import type { AgentDefinition } from "./Agent.ts"

const command = "claude-agent-acp"

/** The adapter is not installed. */
export class ClaudeNotFound extends Data.TaggedError("ClaudeNotFound")<{}> {
  override get message(): string {
    return `The agent claude needs ${command}: install it with \`npm install --global @agentclientprotocol/claude-agent-acp\`, then log in with \`claude\` or set ANTHROPIC_API_KEY.`
  }
}

/** Credentials, endpoint, certificates, retries and telemetry: the variables that configure Claude's network access. */
const passEnv = [
  "ANTHROPIC_API_KEY",
  "ANTHROPIC_AUTH_TOKEN",
  "ANTHROPIC_BASE_URL",
  "ANTHROPIC_MODEL",
  "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
  "CLAUDE_CODE_MAX_RETRIES",
  "CLAUDE_CODE_OAUTH_TOKEN",
  "CLAUDE_CONFIG_DIR",
  "DISABLE_TELEMETRY",
  "NODE_EXTRA_CA_CERTS"
]

/** In this mode Claude asks before it changes anything. The adapter would use the operator's own default mode. */
const mode = "default"

/**
 * `settingSources` and `strictMcpConfig` keep the adapter from loading the settings, hooks and MCP servers of the
 * operator and of the working directory. `allowDangerouslySkipPermissions` rules out the mode that never asks. The last
 * two save model calls whose results are not used: a suggestion after each turn, and a title for each session.
 */
const sessionMeta = {
  claudeCode: {
    options: {
      settingSources: [],
      strictMcpConfig: true,
      allowDangerouslySkipPermissions: false,
      promptSuggestions: false,
      title: "clawdforge"
    }
  }
}

export interface Options {
  readonly permissions?: AgentDefinition["permissions"] | undefined
  /** The folders to search, in order; by default those in PATH, then node_modules/.bin of the current folder. */
  readonly folders?: ReadonlyArray<string> | undefined
}

const defaultFolders = (path: Path.Path, environment: Readonly<Record<string, string | undefined>> = process.env) => [
  ...(environment["PATH"] ?? "").split(process.platform === "win32" ? ";" : ":").filter((folder) => folder !== ""),
  path.resolve("node_modules", ".bin")
]

/** Whether an argv runs the adapter, by its command name or by a file in its package, in any folder or version. */
export const isAdapter = (argv: ReadonlyArray<string>): boolean =>
  argv.some((word) => word.split(/[\\/]/).some((segment) => segment.split(/[@.]/)[0] === command))

const Manifest = Schema.fromJsonString(Schema.Struct({ name: Schema.String, version: Schema.String }))

/** The version of the adapter that an argv runs, read from its package.json without starting it. */
export const versionOf = Effect.fnUntraced(
  function* (argv: ReadonlyArray<string>) {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const program = argv.find((word) => isAdapter([word])) ?? ""
    let folder = path.dirname(yield* fs.realPath(program))
    while (!(yield* fs.exists(path.join(folder, "package.json"))) && path.dirname(folder) !== folder) {
      folder = path.dirname(folder)
    }
    const manifest = yield* Schema.decodeEffect(Manifest)(yield* fs.readFileString(path.join(folder, "package.json")))
    return manifest.name.endsWith(command) ? Option.some(manifest.version) : Option.none()
  },
  Effect.orElseSucceed(Option.none<string>)
)

/** The definition of Claude with a custom command. */
export const make = (definition: Pick<AgentDefinition, "command" | "permissions">): AgentDefinition => ({
  name: "claude",
  passEnv,
  mode,
  sessionMeta,
  takesSystemPrompt: true,
  ...definition
})

/** Finds the installed adapter and returns its definition. */
export const find: (
  options?: Options
) => Effect.Effect<AgentDefinition, ClaudeNotFound, FileSystem.FileSystem | Path.Path> = Effect.fn("ClaudeAgent.find")(
  function* (options: Options = {}) {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const candidates = (options.folders ?? defaultFolders(path)).map((folder) => path.join(folder, command))
    const found = yield* Effect.findFirst(candidates, (candidate) =>
      Effect.orElseSucceed(fs.exists(candidate), () => false)
    )
    if (Option.isNone(found)) return yield* new ClaudeNotFound()
    return make({ command: [found.value], permissions: options.permissions ?? "allow" })
  }
)
