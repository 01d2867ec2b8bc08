/**
 * The programs in the documentation, as programs: the `ts` fences of the README that carry a title
 * (```` ```ts title="first.ts" ````), and every `ts` fence in the comments of a public module.
 */
import { Effect, FileSystem } from "effect"
import { Consumer, peers } from "./Consumer.ts"
import { parse } from "./SourceFile.ts"
import { run } from "./Workspace.ts"

export interface Example {
  /** A file name, unlike that of any other example. */
  readonly name: string
  /** Where it stands: file and line. */
  readonly at: string
  readonly text: string
}

interface Fence {
  readonly info: string
  readonly line: number
  readonly text: string
}

const fencesOf = (text: string): ReadonlyArray<Fence> =>
  [...text.matchAll(/^( *)```ts\b(.*)\n([^]*?)^ *```$/gm)].map(
    ({ 1: indent = "", 2: info = "", 3: body = "", index }) => ({
      info: info.trim(),
      line: text.slice(0, index).split("\n").length,
      text: body.replaceAll(new RegExp(`^${indent}`, "gm"), "")
    })
  )

/** The titled programs of a Markdown page. */
export const ofMarkdown = (path: string, text: string): ReadonlyArray<Example> =>
  fencesOf(text).flatMap(({ info, line, text }) => {
    const title = info.match(/^title="([\w-]+\.ts)"$/)?.[1]
    return title === undefined ? [] : [{ name: title, at: `${path}:${line}`, text }]
  })

/** The programs in the comments of a module. */
export const ofModule = (path: string, text: string): ReadonlyArray<Example> =>
  parse(path, text).comments.flatMap((comment) =>
    fencesOf(comment.text.replaceAll(/^ *\* ?/gm, "")).map((fence) => {
      const line = comment.firstLine + fence.line - 1
      return { name: `${path.replaceAll(/\W/g, "-")}-${line}.ts`, at: `${path}:${line}`, text: fence.text }
    })
  )

/** How a program fared: what it printed, and what went wrong, if anything, with the place where it stands. */
export interface Outcome {
  readonly name: string
  readonly output: string
  readonly failure: string | undefined
}

/**
 * Runs the programs that only define something in one process, which is fine where that is silent. Where it is not, none
 * of them is known to be: running it alone shows which.
 */
const runTogether = Effect.fnUntraced(function* (folder: string, examples: ReadonlyArray<Example>) {
  const fs = yield* FileSystem.FileSystem
  const names = examples.filter(({ text }) => !/\brunMain\b|\bprocess\b|"node:test"/.test(text)).map(({ name }) => name)
  yield* fs.writeFileString(`${folder}/together.mjs`, names.map((name) => `import "./${name}"`).join("\n"))
  const { code, output } = yield* run(folder, process.execPath, ["together.mjs"])
  return new Set(code === 0 && output === "" ? names : [])
})

/** Type-checks the programs in a project that has installed the package, then runs each of them there. */
export const outcomes = Effect.fn("Examples.outcomes")(function* (
  examples: ReadonlyArray<Example>,
  env: Readonly<Record<string, string>>
) {
  const fs = yield* FileSystem.FileSystem
  const { install, root } = yield* Consumer
  const folder = yield* fs.makeTempDirectoryScoped({ directory: root, prefix: "examples-" })
  yield* Effect.forEach(peers, install)
  yield* fs.writeFileString(`${folder}/tsconfig.json`, JSON.stringify({ extends: "../tsconfig.json" }))
  for (const { name, text } of examples) yield* fs.writeFileString(`${folder}/${name}`, text)

  const types = yield* run(".", "node_modules/.bin/tsc", ["-p", folder, "--pretty", "false"])
  const fine = yield* runTogether(folder, examples)
  return yield* Effect.forEach(
    examples,
    Effect.fnUntraced(function* ({ at, name }) {
      const mistakes = types.output.split("\n").filter((line) => line.includes(`${name}(`))
      const ran = fine.has(name) ? { code: 0, output: "" } : yield* run(folder, process.execPath, [name], env)
      const { code, output } = ran
      const problems = [...mistakes, ...(code === 0 ? [] : [`exit code ${code}`, output])]
      const failure = problems.length === 0 ? undefined : `${at}: ${problems.join("\n")}`
      const outcome: Outcome = { name, output, failure }
      return outcome
    }),
    { concurrency: 2 }
  )
}, Effect.scoped)
