/**
 * Many clients at a server for a long time, which must hold at the end what it held at the start.
 *
 * `npm run soak -- --for "1 hour" --seed 7`: five minutes if not given. The server is stopped and started again on the
 * same data in between. It exits with 1 when something grew.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Clock, Console, Duration, Effect, Exit, FileSystem, Layer, Random, Redacted, Scope } from "effect"
import { Command, Flag } from "effect/cli"
import * as DemoAgent from "../../src/agent/DemoAgent.ts"
import * as ForgeServer from "../../src/server/ForgeServer.ts"
import * as Values from "../../src/cli/Values.ts"
import * as Figures from "./Figures.ts"
import * as Mix from "./Mix.ts"

const lives = 3

const flags = {
  duration: Values.span("for").pipe(
    Flag.withDescription("How long it takes in all"),
    Flag.withDefault(Duration.minutes(5))
  ),
  seed: Flag.String("seed").pipe(Flag.withDescription("What decides who does what when"), Flag.withDefault("1"))
}

/** A server on the data, and how it is stopped. */
const start = Effect.fnUntraced(function* (data: string) {
  const scope = yield* Scope.make()
  const context = yield* Layer.buildWithScope(
    ForgeServer.layer({
      data,
      port: 0,
      agents: [DemoAgent.definition],
      maxProcesses: 6,
      maxOpenSessions: 48,
      maxProcessWait: "5 seconds",
      sleepAfter: "1 second",
      hardTtl: "20 seconds",
      keyedCallLinger: "300 millis",
      grace: "1 second"
    }),
    scope
  )
  const server = yield* Effect.provide(ForgeServer.ForgeServer, context)
  return { server, stop: Scope.close(scope, Exit.void) }
})

const print = (title: string, figures: Figures.Figures) =>
  Console.log(
    `${title}: ${Object.entries(figures)
      .map(([name, value]) => `${value} ${name}`)
      .join(", ")}`
  )

const soak = Effect.fnUntraced(function* (duration: Duration.Duration) {
  const fs = yield* FileSystem.FileSystem
  const data = yield* fs.makeTempDirectoryScoped({ prefix: "soak-" })
  const began = yield* Clock.currentTimeMillis
  const counts: Mix.Counts = new Map()
  const grown: Array<string> = []
  const millis = Duration.toMillis(duration) / lives
  let token = ""
  let first: Figures.Figures | undefined
  for (let life = 1; life <= lives; life++) {
    const { server, stop } = yield* start(data)
    if (token === "") token = Redacted.value(yield* server.mint("soak"))
    const mixed = (part: number) => Mix.run({ url: server.url, token }, millis * part, counts)
    yield* mixed(0.25)
    const before = yield* Figures.take(data)
    yield* print(`life ${life}, warm`, before)
    yield* mixed(0.75)
    const after = yield* Figures.take(data)
    yield* print(`life ${life}, end `, after)
    first ??= before
    for (const name of new Set([...Figures.grown(before, after), ...Figures.grown(first, after)])) {
      grown.push(`life ${life}: ${name}`)
    }
    yield* stop
  }
  const seconds = Math.round(((yield* Clock.currentTimeMillis) - began) / 1000)
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0)
  yield* Console.log(`${total} calls in ${seconds} s over ${lives} lives of the server`)
  yield* Console.log(
    [...counts]
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, count]) => `  ${name}: ${count}`)
      .join("\n")
  )
  if (grown.length === 0) return yield* Console.log("nothing grew")
  yield* Console.log(`grew: ${grown.join("; ")}`)
  return yield* Effect.sync(() => {
    process.exitCode = 1
  })
}, Effect.scoped)

const command = Command.make("soak", flags, ({ duration, seed }) =>
  Effect.andThen(Console.log(`seed ${seed}, ${Duration.format(duration)}`), Random.withSeed(soak(duration), seed))
)

NodeRuntime.runMain(Command.run(command, { version: "1" }).pipe(Effect.provide(NodeServices.layer)))
