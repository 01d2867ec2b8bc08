/**
 * `npm run check`: runs every `check:` script of package.json at once, and prints each part as it ends. The output of
 * a part is shown where it is red; the last line names the red parts again.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Clock, Console, Effect, FileSystem, Schema, Stream } from "effect"
import { ChildProcess } from "effect/process"

const Scripts = Schema.fromJsonString(Schema.Struct({ scripts: Schema.Record(Schema.String, Schema.String) }))

const run = Effect.fnUntraced(function* (name: string, command: string) {
  const start = yield* Clock.currentTimeMillis
  const child = yield* ChildProcess.make("sh", ["-c", command], {
    stdin: "ignore",
    env: { PATH: `node_modules/.bin:${process.env["PATH"]}` },
    extendEnv: true,
    forceKillAfter: "2 seconds"
  })
  const output = yield* Stream.mkString(Stream.decodeText(child.all))
  const green = (yield* child.exitCode) === 0
  const seconds = (((yield* Clock.currentTimeMillis) - start) / 1000).toFixed(1)
  yield* Console.log(`${green ? "ok " : "RED"} ${name} (${seconds} s)`)
  if (!green) yield* Console.log(`    ${command}\n${output.trimEnd().replaceAll(/^/gm, "    ")}`)
  return green ? [] : [name]
}, Effect.scoped)

const check = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const { scripts } = yield* Schema.decodeEffect(Scripts)(yield* fs.readFileString("package.json"))
  const parts = Object.entries(scripts).filter(([name]) => name.startsWith("check:"))
  const red = yield* Effect.forEach(parts, ([name, command]) => run(name, command), { concurrency: "unbounded" })
  if (red.flat().length > 0) {
    process.exitCode = 1
    yield* Console.log(`red: ${red.flat().join(", ")}`)
  }
})

check.pipe(Effect.provide(NodeServices.layer), NodeRuntime.runMain)
