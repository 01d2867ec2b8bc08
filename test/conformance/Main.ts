/**
 * `npm run conformance`: checks servers against the contract, and prints the outcome of each sentence at each.
 *
 * They are the fake, the embedded server, a `forge serve` that it starts, and, where it is given, the one of `CLAWDFORGE_URL`
 * (see Servers.ts). With `--loop 1h` the last one alone is checked again and again for that long; the resources of a started
 * server are then compared with those after the first rounds.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Cause, Clock, Console, Context, Duration, Effect, Exit, Layer, Option } from "effect"
import { parseArgs } from "node:util"
import * as Values from "../../src/cli/Values.ts"
import * as NodeForgeClient from "../../src/node/NodeForgeClient.ts"
import * as Figures from "../soak/Figures.ts"
import type { Case } from "./Case.ts"
import * as Embedded from "./Embedded.ts"
import * as Fake from "./Fake.ts"
import * as Served from "./Served.ts"
import { Server } from "./Server.ts"
import * as Servers from "./Servers.ts"
import * as Suite from "./Suite.ts"

interface Result {
  readonly title: string
  readonly outcome: "ok" | "skipped" | "FAILED"
  readonly why: string
}

/** A server, and the outcome of every sentence at it. */
interface Checked {
  readonly name: string
  readonly results: ReadonlyArray<Result>
}

const hold = Effect.fnUntraced(function* (title: string, one: Case) {
  const exit = yield* Effect.exit(Effect.timeout(Suite.hold(one), "60 seconds"))
  const result: Result = Exit.isFailure(exit)
    ? { title, outcome: "FAILED", why: Cause.pretty(exit.cause) }
    : exit.value.length > 0
      ? { title, outcome: "skipped", why: `no ${exit.value.join(", no ")}` }
      : { title, outcome: "ok", why: "" }
  return result
})

/** Checks all sentences once, `width` at a time, with new connections that end with the round. */
const round = <E, R>(server: Effect.Effect<Server["Service"], E, R>, width: number) =>
  Effect.forEach([false, true], (alone) => {
    const cases = Suite.groups.flatMap(({ cases, name }) =>
      cases.filter((one) => (one.alone ?? false) === alone).map((one) => ({ one, title: `${name}: ${one.title}` }))
    )
    return Effect.forEach(cases, ({ one, title }) => hold(title, one), { concurrency: alone ? 1 : width })
  }).pipe(
    Effect.map((results) => results.flat()),
    Effect.provideServiceEffect(Server, server),
    Effect.provide(NodeForgeClient.layerHttpClient)
  )

const countOf = (results: ReadonlyArray<Result>, outcome: Result["outcome"]) =>
  results.filter((result) => result.outcome === outcome).length

const outcomes = ["ok", "skipped", "FAILED"] as const

const summary = (results: ReadonlyArray<Result>) =>
  outcomes.map((outcome) => `${countOf(results, outcome)} ${outcome}`).join(", ")

/** Prints what failed, and how many did not. */
const printFailures = Effect.fnUntraced(function* (results: ReadonlyArray<Result>) {
  for (const { outcome, title, why } of results) {
    if (outcome === "FAILED") yield* Console.log(`${outcome} ${title}\n        ${why}`)
  }
  yield* Console.log(summary(results))
  return countOf(results, "FAILED") === 0
})

/** Where a sentence was skipped, what the server has not that it is about. */
const cellOf = (result: Result | undefined) => (result?.outcome === "skipped" ? result.why : (result?.outcome ?? ""))

/** Prints a row for each sentence with a column for each server, then what failed. */
const printTable = Effect.fnUntraced(function* (checked: ReadonlyArray<Checked>) {
  const cells = checked.flatMap(({ name, results }) => [name, ...results.map(cellOf)])
  const width = Math.max(...cells.map(({ length }) => length)) + 2
  const row = (cells: ReadonlyArray<string>, title: string) =>
    Console.log(cells.map((cell) => cell.padEnd(width)).join("") + title)
  yield* row(
    checked.map(({ name }) => name),
    ""
  )
  for (const [index, { title }] of (checked[0]?.results ?? []).entries()) {
    yield* row(
      checked.map(({ results }) => cellOf(results[index])),
      title
    )
  }
  for (const { name, results } of checked) {
    for (const { outcome, title, why } of results) {
      if (outcome === "FAILED") yield* Console.log(`\n${name}: ${outcome} ${title}\n  ${why}`)
    }
  }
  yield* Console.log("")
  for (const { name, results } of checked) yield* Console.log(`${name}: ${summary(results)}`)
  return checked.every(({ results }) => countOf(results, "FAILED") === 0)
})

/** The first rounds fill caches. */
const warmUps = 3

type TakeFigures = (start?: Figures.Figures) => Effect.Effect<Figures.Figures>

/** Rounds until the time is over; returns whether none failed and nothing grew. */
const loop = Effect.fnUntraced(function* <E, R>(
  oneRound: Effect.Effect<ReadonlyArray<Result>, E, R>,
  time: Duration.Duration,
  takeFigures: TakeFigures | undefined
) {
  const end = (yield* Clock.currentTimeMillis) + Duration.toMillis(time)
  const samples: Array<Figures.Figures> = []
  let green = true
  for (let count = 1; count <= warmUps + 1 || (yield* Clock.currentTimeMillis) < end; count++) {
    green = (yield* printFailures(yield* oneRound)) && green
    if (takeFigures === undefined || count < warmUps) continue
    const now = yield* takeFigures(samples[0])
    yield* Console.log(`${samples.length === 0 ? "start" : `round ${count}`}: ${Figures.line(now)}`)
    samples.push(now)
  }
  if (takeFigures === undefined) return green
  const grown = Figures.grown(samples)
  yield* Console.log(`over ${samples.length - 1} rounds: ${Figures.trend(samples)}`)
  yield* Console.log(grown.length === 0 ? "nothing grew" : `GREW: ${grown.join("; ")}`)
  return green && grown.length === 0
})

/** Short enough to expire within a loop, and long enough for a case. */
const hardTtlSeconds = 120

/** Starts a server whose resources are measured. */
const watched = Effect.gen(function* () {
  const home = yield* Served.home
  const { env, node } = Figures.probeSettings(home)
  const served = yield* Servers.serve({
    home,
    node,
    env: { ...env, CLAWDFORGE_SESSION_HARD_TTL_SECS: String(hardTtlSeconds) }
  })
  const takeFigures: TakeFigures = (start) =>
    Figures.settled({ ...served, hardTtlMillis: hardTtlSeconds * 1000 }, start)
  return { served, takeFigures }
})

const units: Readonly<Record<string, string>> = { h: "hours", m: "minutes", s: "seconds" }

/** Checks every server that there is, one after the other. */
const checkAll = Effect.fnUntraced(function* (isGiven: boolean) {
  const serve = Effect.flatMap(Served.home, (home) => Servers.serve({ home })).pipe(Effect.flatMap(Servers.over))
  const inMemory = (server: Layer.Layer<Server>) =>
    Effect.map(Layer.build(server), (built) => Context.get(built, Server))
  const fake = yield* Effect.scoped(round(inMemory(Fake.server), 4))
  const embedded = yield* Effect.scoped(round(inMemory(Layer.orDie(Embedded.server)), 4))
  const served = yield* Effect.scoped(round(serve, 4))
  const checked: ReadonlyArray<Checked> = [
    { name: "fake", results: fake },
    { name: "embedded", results: embedded },
    { name: "forge serve", results: served }
  ]
  if (!isGiven) return yield* printTable(checked)
  // Its limits are unknown.
  const results = yield* Effect.scoped(round(Servers.byUrl, 2))
  return yield* printTable([...checked, { name: "CLAWDFORGE_URL", results }])
})

const program = Effect.gen(function* () {
  const { values } = parseArgs({ options: { loop: { type: "string" } } })
  const isGiven = process.env["CLAWDFORGE_URL"] !== undefined
  if (values.loop === undefined) return yield* checkAll(isGiven)
  const time = Values.durationOf(values.loop.replace(/^(\d+)([hms])$/, (_, count, unit) => `${count} ${units[unit]}`))
  if (Option.isNone(time))
    return yield* Console.error("--loop takes a span of time, such as 1h or 90s").pipe(Effect.as(false))
  if (isGiven) return yield* loop(round(Servers.byUrl, 2), time.value, undefined)
  const { served, takeFigures } = yield* watched
  return yield* loop(round(Servers.over(served), 4), time.value, takeFigures)
})

program.pipe(
  Effect.tap((green) => Effect.sync(() => (process.exitCode = green ? 0 : 1))),
  Effect.scoped,
  NodeRuntime.runMain
)
