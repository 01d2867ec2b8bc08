/**
 * Claude, through its adapter to the Agent Client Protocol, where that is installed.
 */
import { Data, Effect, FileSystem, Path } from "effect"
import type { AgentDefinition } from "./Agent.ts"

const command = "claude-agent-acp"

/** The adapter is not installed. */
export class ClaudeNotFound extends Data.TaggedError("ClaudeNotFound")<{}> {
  override get message(): string {
    return `The agent claude needs ${command}: install it with \`npm install --global @agentclientprotocol/claude-agent-acp\`, then log in with \`claude\` or set ANTHROPIC_API_KEY.`
  }
}

/** What tells Claude whom to ask, and as whom. */
const passEnv = [
  "ANTHROPIC_API_KEY",
  "ANTHROPIC_AUTH_TOKEN",
  "ANTHROPIC_BASE_URL",
  "ANTHROPIC_MODEL",
  "CLAUDE_CODE_OAUTH_TOKEN",
  "CLAUDE_CONFIG_DIR",
  "HTTPS_PROXY",
  "HTTP_PROXY",
  "NO_PROXY",
  "NODE_EXTRA_CA_CERTS"
]

/**
 * Without these the adapter loads the settings, hooks and tool servers of the operator and of the working directory,
 * which are not meant for whoever talks to it through a server.
 */
const sessionMeta = { claudeCode: { options: { settingSources: [], strictMcpConfig: true } } }

export interface Options {
  readonly permissions?: AgentDefinition["permissions"] | undefined
  /** Where to look, in order; by default PATH, and the packages installed in the current folder. */
  readonly folders?: ReadonlyArray<string> | undefined
}

const defaultFolders = (path: Path.Path, environment: Readonly<Record<string, string | undefined>> = process.env) => [
  ...(environment["PATH"] ?? "").split(process.platform === "win32" ? ";" : ":").filter((folder) => folder !== ""),
  path.resolve("node_modules", ".bin")
]

/** Finds the adapter. */
export const find: (
  options?: Options
) => Effect.Effect<AgentDefinition, ClaudeNotFound, FileSystem.FileSystem | Path.Path> = Effect.fn("ClaudeAgent.find")(
  function* (options: Options = {}) {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const candidates = (options.folders ?? defaultFolders(path)).map((folder) => path.join(folder, command))
    for (const candidate of candidates) {
      if (yield* fs.exists(candidate).pipe(Effect.orElseSucceed(() => false))) {
        return {
          name: "claude",
          command: [candidate],
          passEnv,
          permissions: options.permissions ?? "allow",
          sessionMeta
        } satisfies AgentDefinition
      }
    }
    return yield* new ClaudeNotFound()
  }
)
