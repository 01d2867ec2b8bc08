/**
 * The adapter that makes Claude Code an agent, installed for the length of a scope.
 */
import { Data, Effect, FileSystem, Path, Schema } from "effect"
import { ChildProcess, ChildProcessSpawner } from "effect/process"

const name = "@agentclientprotocol/claude-agent-acp"

/** npm on an older Node takes an older adapter without a word, so the version is pinned, and checked. */
const version = "0.100.0"

class NotInstalled extends Data.TaggedError("NotInstalled")<{ readonly message: string }> {}

export interface Adapter {
  /** The folder of its command. */
  readonly bin: string
  readonly version: string
  /** The version of the Claude Code that came with it. */
  readonly claudeCode: string
}

const decodeManifest = Schema.decodeEffect(
  Schema.fromJsonString(Schema.Struct({ version: Schema.String, claudeCodeVersion: Schema.optionalKey(Schema.String) }))
)

const manifest = Effect.fnUntraced(function* (folder: string, dependency: string) {
  const fs = yield* FileSystem.FileSystem
  return yield* decodeManifest(yield* fs.readFileString(`${folder}/node_modules/${dependency}/package.json`))
})

const npmInstall = Effect.fnUntraced(function* (folder: string) {
  const path = yield* Path.Path
  const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
  const npm = ChildProcess.make("npm", ["install", "--no-audit", "--no-fund", `${name}@${version}`], {
    cwd: folder,
    // npm runs on the Node that runs this.
    env: { PATH: `${path.dirname(process.execPath)}:${process.env["PATH"] ?? ""}` },
    extendEnv: true,
    stdout: "ignore",
    stderr: "inherit",
    forceKillAfter: "2 seconds"
  })
  const code = yield* spawner.exitCode(npm)
  if (code !== 0) return yield* new NotInstalled({ message: `npm install ended with code ${code}` })
})

/** Installs the adapter, 400 MB of it, into a folder that stays, or into one that goes with the scope. */
export const install = Effect.fnUntraced(function* (kept: string | undefined) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const folder = kept === undefined ? yield* fs.makeTempDirectoryScoped() : path.resolve(kept)
  yield* fs.makeDirectory(folder, { recursive: true })
  const before = yield* Effect.option(manifest(folder, name))
  if (before._tag === "None" || before.value.version !== version) {
    // Without a manifest of its own npm would install into a folder further up.
    yield* fs.writeFileString(path.join(folder, "package.json"), `{"private":true}\n`)
    yield* npmInstall(folder)
  }
  const installed = yield* manifest(folder, name)
  if (installed.version !== version) {
    return yield* new NotInstalled({ message: `npm installed ${installed.version}, not ${version}` })
  }
  const sdk = yield* manifest(folder, "@anthropic-ai/claude-agent-sdk")
  const adapter: Adapter = {
    bin: path.join(folder, "node_modules", ".bin"),
    version,
    claudeCode: sdk.claudeCodeVersion ?? "unknown"
  }
  return adapter
})
