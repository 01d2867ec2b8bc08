/**
 * Installs an agent from npm.
 */
import { Data, Effect, FileSystem, Path, Schema } from "effect"
import { ChildProcess, ChildProcessSpawner } from "effect/process"
import type { Agent } from "./Agent.ts"

class NotInstalled extends Data.TaggedError("NotInstalled")<{ readonly message: string }> {}

const decodeManifest = Schema.decodeEffect(Schema.fromJsonString(Schema.Struct({ version: Schema.String })))

const versionIn = Effect.fnUntraced(function* (folder: string, name: string) {
  const fs = yield* FileSystem.FileSystem
  const manifest = yield* fs.readFileString(`${folder}/node_modules/${name}/package.json`)
  return (yield* decodeManifest(manifest)).version
})

const npmInstall = Effect.fnUntraced(function* (folder: string, agent: Agent) {
  const path = yield* Path.Path
  const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
  const scripts = agent.runsScripts === true ? [] : ["--ignore-scripts"]
  const args = ["install", "--no-audit", "--no-fund", ...scripts, `${agent.package}@${agent.version}`]
  const npm = ChildProcess.make("npm", args, {
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

/** Installs the agent into a folder, if it is not there, and returns the folder of its command. */
export const install = Effect.fnUntraced(function* (agent: Agent, folder: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  yield* fs.makeDirectory(folder, { recursive: true })
  const before = yield* Effect.option(versionIn(folder, agent.package))
  if (before._tag === "None" || before.value !== agent.version) {
    // Without a package.json here npm would install into a parent folder.
    yield* fs.writeFileString(path.join(folder, "package.json"), `{"private":true}\n`)
    yield* npmInstall(folder, agent)
  }
  const installed = yield* versionIn(folder, agent.package)
  if (installed !== agent.version) {
    return yield* new NotInstalled({ message: `npm installed ${installed}, not ${agent.version}` })
  }
  return path.join(folder, "node_modules", ".bin")
})
