/**
 * Many open sessions and few processes: all sessions are asked at once to remember a word, and then to repeat it.
 *
 *     node test/soak/many.ts [SESSIONS] [PROCESSES]
 *
 * Prints how long it took, and exits with 1 if a turn failed, a word was forgotten, or too many agents ran at a time.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Console, Effect, FileSystem, Redacted, Schedule, Schema, Stream } from "effect"
import { ChildProcess } from "effect/process"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import * as DemoAgent from "../../src/agent/DemoAgent.ts"
import * as ForgeServer from "../../src/server/ForgeServer.ts"
import { appOf, processesIn, turnOf } from "../server/Support.ts"

const [first, second, data] = process.argv.slice(2)

/** The server, run as a separate process to measure its memory. */
const serve = Effect.gen(function* () {
  const { mint, url } = yield* ForgeServer.ForgeServer
  yield* Console.log(JSON.stringify({ url, token: Redacted.value(yield* mint("many")) }))
  return yield* Effect.never
}).pipe(
  Effect.provide(
    ForgeServer.layer({
      data,
      port: 0,
      agents: [DemoAgent.definition],
      maxOpenSessions: Number(first),
      maxProcesses: Number(second),
      maxProcessWait: "10 minutes"
    })
  )
)

const Greeting = Schema.fromJsonString(Schema.Struct({ url: Schema.String, token: Schema.String }))

const megabytes = (pid: number): number =>
  Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024)

const percentile = (of: ReadonlyArray<number>, part: number): number =>
  Math.round(of.toSorted((a, b) => a - b)[Math.floor(of.length * part)] ?? 0)

/** Runs the effects at once, and prints how long each and all of them took. */
const timed = Effect.fnUntraced(function* <A, E, R>(name: string, each: ReadonlyArray<Effect.Effect<A, E, R>>) {
  const start = performance.now()
  const took: Array<number> = []
  const results = yield* Effect.forEach(
    each,
    (effect) => Effect.tap(effect, () => Effect.sync(() => took.push(performance.now() - start))),
    { concurrency: "unbounded" }
  )
  const seconds = (performance.now() - start) / 1_000
  yield* Console.log(
    `${name}: ${each.length} in ${seconds.toFixed(1)} s, ${(each.length / seconds).toFixed(0)} a second; ` +
      `done after ${percentile(took, 0.5)} ms (half), ${percentile(took, 0.95)} ms (95 %), ${percentile(took, 1 - 1e-9)} ms (all)`
  )
  return results
})

const many = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const sessions = Number(first ?? 500)
  const processes = Number(second ?? 16)
  const data = yield* fs.makeTempDirectoryScoped()
  const program = fileURLToPath(import.meta.url)
  const server = yield* ChildProcess.make(process.execPath, [program, String(sessions), String(processes), data], {
    stderr: "inherit"
  })
  const { token, url } = yield* server.stdout.pipe(
    Stream.decodeText(),
    Stream.splitLines,
    Stream.take(1),
    Stream.mkString,
    Effect.flatMap(Schema.decodeEffect(Greeting))
  )
  const app = appOf(url, token)
  let peak = 0
  yield* Effect.sync(() => (peak = Math.max(peak, processesIn(`${data}/sessions`).length))).pipe(
    Effect.repeat(Schedule.spaced("50 millis")),
    Effect.forkScoped
  )
  const memory = Effect.suspend(() => Console.log(`server: ${megabytes(server.pid)} MB`))
  yield* memory
  const text = (id: string, prompt: string) =>
    Effect.map(Effect.flatMap(app.turn(id, prompt), turnOf), ({ text }) => text)

  const opened = yield* timed(
    "open",
    Array.from({ length: sessions }, () => app.open)
  )
  yield* memory
  const remember = (id: string, index: number) => text(id, `Remember the word word${index}x.`)
  yield* timed(
    "remember",
    opened.map(({ id }, index) => remember(id, index))
  )
  yield* memory
  const answers = yield* timed(
    "repeat",
    opened.map(({ id }) => text(id, "Which word did I tell you?"))
  )
  yield* memory
  const forgotten = answers.filter((text, index) => !text.includes(`word${index}x`)).length
  const close = (id: string) => app.request("DELETE", `/sessions/${id}`)
  yield* timed(
    "close",
    opened.map(({ id }) => close(id))
  )
  yield* Console.log(`forgotten: ${forgotten}; most agents at a time: ${peak} of ${processes}`)
  if (forgotten > 0 || peak > processes) process.exitCode = 1
}).pipe(Effect.scoped, Effect.provide(NodeServices.layer))

await (data === undefined ? Effect.runPromise(many) : Effect.runPromise(serve))
