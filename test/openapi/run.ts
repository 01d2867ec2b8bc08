/**
 * Checks the OpenAPI document of a running server with a linter, and clients that are generated from it:
 * `npm run try:openapi`. The tools are installed from npm into a temporary folder. Prints a table, and exits with 1 if a
 * row failed.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Console, Data, Effect, FileSystem } from "effect"
import { rolldown } from "rolldown"
import { run } from "../house/Workspace.ts"
import { call, serve } from "../server/Support.ts"
import * as Programs from "./Programs.ts"

const tools = {
  "@hey-api/openapi-ts": "0.99.0",
  "@redocly/cli": "2.77.0",
  "@types/node": "24.10.1",
  "openapi-fetch": "0.17.0",
  "openapi-typescript": "7.13.0",
  typescript: "5.9.3"
}

const tsconfig = {
  compilerOptions: {
    target: "es2024",
    lib: ["es2024", "dom", "dom.iterable"],
    module: "esnext",
    moduleResolution: "bundler",
    types: ["node"],
    strict: true,
    noUncheckedIndexedAccess: true,
    allowImportingTsExtensions: true,
    skipLibCheck: true,
    noEmit: true
  }
}

class Failed extends Data.TaggedError("Failed")<{ readonly message: string }> {}

/** Runs a command to its end; its output is the failure of one that fails. */
const command = Effect.fnUntraced(function* (
  folder: string,
  env: Readonly<Record<string, string>>,
  name: string,
  ...args: ReadonlyArray<string>
) {
  const { code, output } = yield* Effect.orDie(run(folder, name, args, env))
  if (code !== 0) return yield* new Failed({ message: output.trim() })
  return output.trim()
})

/** A program and all that it imports, as one module. */
const bundle = (input: string, file: string) =>
  Effect.promise(async () => {
    const built = await rolldown({ input, platform: "node", logLevel: "silent" })
    await built.write({ file, format: "esm" })
    await built.close()
  })

/** Prints what was tried with the last line of its output, or all of it if it failed. */
const row = Effect.fnUntraced(function* <R>(name: string, trial: Effect.Effect<string, Failed, R>) {
  const { message, passed } = yield* Effect.match(trial, {
    onSuccess: (message) => ({ passed: true, message: message.split("\n").at(-1) || "no error" }),
    onFailure: ({ message }) => ({ passed: false, message })
  })
  yield* Console.log(`${passed ? "ok    " : "FAILED"} | ${name.padEnd(36)} | ${message}`)
  return passed
})

const program = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const folder = yield* fs.makeTempDirectoryScoped({ prefix: "openapi-" })
  const { mint, url } = yield* serve()
  const { token } = yield* mint("openapi")
  const exec = (name: string, ...args: ReadonlyArray<string>) =>
    command(folder, { FORGE_URL: url, FORGE_TOKEN: token, REDOCLY_TELEMETRY: "off" }, name, ...args)
  const tool = (name: string, ...args: ReadonlyArray<string>) => exec(`node_modules/.bin/${name}`, ...args)

  const write = (name: string, text: string) => fs.writeFileString(`${folder}/${name}`, text)
  yield* write("package.json", JSON.stringify({ private: true, type: "module", dependencies: tools }))
  yield* write("tsconfig.json", JSON.stringify({ ...tsconfig, files: ["fetch.ts", "hey.ts"] }))
  yield* write("openapi.json", (yield* call(`${url}/openapi.json`, "GET")).text)
  yield* write("generate.mjs", Programs.generateTypes)
  yield* write("fetch.ts", Programs.openapiFetch)
  yield* write("hey.ts", Programs.heyApi)
  yield* exec("npm", "install", "--no-audit", "--no-fund", "--silent")

  const talk = (name: string) =>
    Effect.andThen(bundle(`${folder}/${name}.ts`, `${folder}/${name}.mjs`), exec(process.execPath, `${name}.mjs`))
  const lint = tool("redocly", "lint", "openapi.json", "--extends", "recommended").pipe(
    Effect.filterOrFail(
      (output) => !output.includes("warning"),
      (output) => new Failed({ message: output })
    ),
    Effect.as("no error, no warning")
  )
  const rows: ReadonlyArray<readonly [string, Effect.Effect<string, Failed, Effect.Services<typeof lint>>]> = [
    ["@redocly/cli lint, recommended", lint],
    ["openapi-typescript", exec(process.execPath, "generate.mjs")],
    ["@hey-api/openapi-ts", tool("openapi-ts", "-i", "openapi.json", "-o", "client", "--silent")],
    ["both clients, TypeScript strict", tool("tsc", "-p", ".")],
    ["a session over openapi-fetch", talk("fetch")],
    ["a session over @hey-api/openapi-ts", talk("hey")]
  ]
  const passed = yield* Effect.forEach(rows, ([name, trial]) => row(name, trial))
  if (passed.includes(false)) return yield* new Failed({ message: "the document is not good for every tool" })
})

program.pipe(
  Effect.scoped,
  Effect.provide(NodeServices.layer),
  Effect.tapError(({ message }) => Console.error(message)),
  NodeRuntime.runMain({ disableErrorReporting: true })
)
