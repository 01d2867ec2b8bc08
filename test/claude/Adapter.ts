/**
 * Installs the adapter that makes Claude Code an ACP agent.
 */
import { Data, Effect, FileSystem, Path, Schema } from "effect"
import { ChildProcess, ChildProcessSpawner } from "effect/process"

const name = "@agentclientprotocol/claude-agent-acp"

/** Pinned and checked, since npm on an older Node silently installs an older adapter. */
const version = "0.100.0"

class NotInstalled extends Data.TaggedError("NotInstalled")<{ readonly message: string }> {}

export interface Adapter {
  /** The folder with its command. */
  readonly bin: string
  readonly version: string
  /** The version of the bundled Claude Code. */
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
    // npm must run on the same Node as this process.
    env: { PATH: `${path.dirname(process.execPath)}:${process.env["PATH"] ?? ""}` },
    extendEnv: true,
    stdout: "ignore",
    stderr: "inherit",
    forceKillAfter: "2 seconds"
  })
  const code = yield* spawner.exitCode(npm)
  if (code !== 0) return yield* new NotInstalled({ message: `npm install exited with code ${code}` })
})

/** Installs the adapter (400 MB) into a given folder, or into a temporary one that is removed when the scope closes. */
export const install = Effect.fnUntraced(function* (target: string | undefined) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const folder = target === undefined ? yield* fs.makeTempDirectoryScoped() : path.resolve(target)
  yield* fs.makeDirectory(folder, { recursive: true })
  const before = yield* Effect.option(manifest(folder, name))
  if (before._tag === "None" || before.value.version !== version) {
    // Without a package.json here npm would install into a parent folder.
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
