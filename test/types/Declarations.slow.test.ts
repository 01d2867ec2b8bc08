import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Path } from "effect"
import manifest from "../../package.json" with { type: "json" }
import { run } from "../house/Workspace.ts"

const tsc = (args: ReadonlyArray<string>) => run(".", "node_modules/.bin/tsc", ["--pretty", "false", ...args])

/** What an editor shows of public names, as the compiler writes it into a message. */
const displayed: Readonly<Record<string, string>> = {
  "Forge.session": "(options?: SessionOptions | undefined) => Effect<Session, CreateError, ForgeClient | Scope>",
  "Forge.attach": "(id: SessionId) => Effect<Session, StateError, ForgeClient>",
  "Forge.sessions": "(options?: ListOptions) => Effect.Effect<ReadonlyArray<SessionState>, ListError, ForgeClient>",
  "Forge.sessionsStream": "(options?: SessionFilter) => Stream.Stream<SessionState, ListError, ForgeClient>",
  "Forge.run": "(prompt: string, options?: RunOptions) => Effect.Effect<Run, RunError, ForgeClient>",
  "Forge.upload":
    "<E = never, R = never>(source: Source<E, R>, options?: UploadOptions) => Effect.Effect<UploadedFile, E | UploadError, R | ForgeClient>",
  "Forge.health": "Effect<Health, HealthError, ForgeClient>",
  "session.turn": "(prompt: string, options?: TurnOptions | undefined) => Effect<Turn, TurnError>",
  "session.turnAs":
    '<S extends Schema.Constraint>(schema: S, prompt: string, options?: TurnAsOptions | undefined) => Effect<Structured<S["Type"]>, TurnAsError, S["DecodingServices"]>',
  "session.stream": "(prompt: string, options?: StreamOptions | undefined) => Stream<TurnPart, TurnError>",
  "turn.events": "readonly TurnEvent[]",
  "Turn.Turn": "Codec<Turn, TurnEncoded>",
  "Turn.Usage": "Codec<Usage, UsageEncoded>",
  "TurnEvent.TurnEvent": "Codec<TurnEvent, TurnEventEncoded>",
  "SessionInfo.SessionState": "Codec<SessionState, SessionStateEncoded>",
  "Run.Run": "Codec<Run, RunEncoded>",
  "Health.Health": "Codec<Health, HealthEncoded>",
  "Upload.UploadedFile": "Codec<UploadedFile, UploadedFileEncoded>",
  "Upload.FileToken": "Codec<FileToken, string>",
  "AppToken.MintedToken": "Codec<MintedToken, MintedTokenEncoded>",
  "TurnEvent.is('ToolCall')": "(u: unknown) => u is ToolCall",
  "session.cancel": "Effect<boolean, CancelError>",
  "session.state": "Effect<LiveState, StateError>",
  "session.close": "Effect<void, CloseError>",
  "Forge.session()": "Effect<Session, CreateError, ForgeClient | Scope>",
  "session.turn('')": "Effect<Turn, TurnError>",
  "Upload.fromPath('a')": "Effect<Source<PlatformError>, PlatformError, FileSystem | Path>",
  "ForgeAdmin.ForgeAdmin.use((admin) => admin.mint('a'))": "Effect<MintedToken, MintError, ForgeAdmin>",
  "NodeForgeClient.layer": "(options: Options) => Layer.Layer<ForgeClient.ForgeClient, ApiError<422>>",
  "NodeForgeClient.layerConfig":
    "(options?: ConfigOptions) => Layer.Layer<ForgeClient.ForgeClient, ApiError<422> | Config.ConfigError>",
  "session.closed": 'Effect<"client" | "server">',
  "ApiError.is(502)": "(error: unknown) => error is ApiError<502, RunFailed | Unexpected>",
  "ApiError.is(404, 502)":
    "(error: unknown) => error is ApiError<404, NotFound | Unexpected> | ApiError<502, RunFailed | Unexpected>"
}

const names = Object.keys(displayed)

/** Assigns each name to `never`, one on each line. */
const mistakes = [
  `import { ApiError, AppToken, Forge, ForgeAdmin, Health, Run, type Session, SessionInfo, Turn, TurnEvent, Upload } from "./src/index.ts"`,
  `import { NodeForgeClient } from "./src/node/index.ts"`,
  `declare const session: Session.Session, turn: Turn.Turn`,
  ...names.map((name, at) => `export const a${at}: never = ${name}`)
].join("\n")

/** The message for each name, by its line. */
const typesOf = (output: string) =>
  names.map((_, at) => {
    const message = output.split("\n").find((line) => line.startsWith(`display.ts(${at + 4},`)) ?? output
    return (
      /Type '(.*)' is not assignable to type 'never'/.exec(message)?.[1]?.replaceAll(/(, never)+>/g, ">") ?? message
    )
  })

const coreEntries = Object.entries(manifest.exports).flatMap(([name, target]) =>
  typeof target === "string" || /\/(server|testing)$/.test(name) ? [] : [target.types.replace("./dist/", "")]
)

describe("types", () => {
  it.live("are displayed under their names, with the errors of an operation as one alias", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const root = yield* fs.makeTempDirectoryScoped({ prefix: "display-" })
      for (const name of ["src", "node_modules"]) yield* fs.symlink(yield* fs.realPath(name), `${root}/${name}`)
      yield* fs.copyFile("tsconfig.json", `${root}/base.json`)
      yield* fs.writeFileString(`${root}/package.json`, JSON.stringify({ type: "module" }))
      yield* fs.writeFileString(`${root}/display.ts`, mistakes)
      const config = { extends: "./base.json", compilerOptions: { noErrorTruncation: true }, include: ["display.ts"] }
      yield* fs.writeFileString(`${root}/tsconfig.json`, JSON.stringify(config))
      const { output } = yield* run(root, "node_modules/.bin/tsc", ["-p", ".", "--pretty", "false"])
      const shown = typesOf(output)
      assert.deepStrictEqual(Object.fromEntries(names.map((name, at) => [name, shown[at]])), displayed)
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.live("of every file are checked by npm run check", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const path = yield* Path.Path
      const { output } = yield* tsc(["-p", ".", "--listFilesOnly"])
      const checked = new Set(output.split("\n").map((file) => path.relative(".", file)))
      const files = yield* Effect.forEach(["src", "test"], (folder) =>
        Effect.map(fs.readDirectory(folder, { recursive: true }), (names) => names.map((name) => `${folder}/${name}`))
      )
      const missing = [...files.flat(), "vitest.config.ts"].filter((name) => name.endsWith(".ts") && !checked.has(name))
      assert.deepStrictEqual(missing, [])
      assert.match(manifest.scripts["check:types"], /^tsc -p \.( |$)/)
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("that are published need nothing of api/ and nothing internal", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const path = yield* Path.Path
      const out = yield* fs.makeTempDirectoryScoped({ prefix: "declarations-" })
      yield* tsc([
        "-p",
        "tsconfig.build.json",
        "--emitDeclarationOnly",
        "--sourceMap",
        "false",
        "--inlineSources",
        "false",
        "--outDir",
        out
      ])
      assert.include(coreEntries, "index.d.ts")

      // Follows every import, inline type imports too, as an editor does.
      const files = new Set(coreEntries)
      for (const file of files) {
        const text = yield* fs.readFileString(`${out}/${file}`)
        for (const [, specifier = ""] of text.matchAll(/(?:from |import\()"(\.[^"]*)"/g)) {
          const needed = path.join(path.dirname(file), specifier.replace(/\.ts$/, ".d.ts"))
          assert.notMatch(needed, /^(api|internal|server|agent)\//, `${file} shows what it has from ${needed}`)
          files.add(needed)
        }
      }
      assert.include([...files], "Session.d.ts")
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )
})
