/**
 * Copies of the project in a temporary folder, where a test may break things, and the commands that run there.
 */
import { Effect, FileSystem, Stream } from "effect"
import { ChildProcess } from "effect/process"

const copied = ["package.json", "tsconfig.json", "tsconfig.build.json", ".oxlintrc.json", ".oxfmtrc.json"]
const optional = ["README.md", "LICENSE", "vitest.config.ts"]

/** The project without its git folder, and with the same node_modules; it goes with the scope. */
export const copyOfProject = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const root = yield* fs.makeTempDirectoryScoped({ prefix: "project-" })
  for (const name of [...copied, ...optional]) {
    if (copied.includes(name) || (yield* fs.exists(name))) yield* fs.copyFile(name, `${root}/${name}`)
  }
  for (const folder of ["src", "test"]) yield* fs.copy(folder, `${root}/${folder}`)
  yield* fs.symlink(yield* fs.realPath("node_modules"), `${root}/node_modules`)
  return root
})

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
