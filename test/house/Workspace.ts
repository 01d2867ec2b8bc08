/**
 * Copies of the project in a temporary folder, where a test may break things, and the commands that run there.
 */
import { Effect, FileSystem, Stream } from "effect"
import { ChildProcess } from "effect/process"

const copied = ["package.json", "tsconfig.json", "tsconfig.build.json", ".oxlintrc.json", ".oxfmtrc.json"]
const optional = ["README.md", "LICENSE", "vitest.config.ts"]

/** The project with these folders alone, and with the same node_modules; it goes with the scope. */
export const copyOf = Effect.fnUntraced(function* (folders: ReadonlyArray<string>) {
  const fs = yield* FileSystem.FileSystem
  const root = yield* fs.makeTempDirectoryScoped({ prefix: "project-" })
  for (const name of [...copied, ...optional]) {
    if (copied.includes(name) || (yield* fs.exists(name))) yield* fs.copyFile(name, `${root}/${name}`)
  }
  for (const folder of folders) {
    yield* fs.makeDirectory(`${root}/${folder}`, { recursive: true })
    yield* fs.copy(folder, `${root}/${folder}`, { overwrite: true })
  }
  yield* fs.symlink(yield* fs.realPath("node_modules"), `${root}/node_modules`)
  return root
})

/** The project without its git folder. */
export const copyOfProject = copyOf(["src", "test"])

export interface Outcome {
  readonly code: number
  /** Standard output and standard error together, without colours. */
  readonly output: string
}

/** Runs a command to its end. */
export const run = Effect.fn("Workspace.run")(function* (
  cwd: string,
  command: string,
  args: ReadonlyArray<string>,
  env: Readonly<Record<string, string>> = {}
) {
  const child = yield* ChildProcess.make(command, [...args], {
    cwd,
    stdin: "ignore",
    env: { NO_COLOR: "1", ...env },
    extendEnv: true,
    forceKillAfter: "2 seconds"
  })
  const output = yield* Stream.mkString(Stream.decodeText(child.all))
  const outcome: Outcome = { code: yield* child.exitCode, output }
  return outcome
}, Effect.scoped)
