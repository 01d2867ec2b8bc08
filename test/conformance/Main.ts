/**
 * `npm run conformance`: checks a server against the contract, and prints the outcome of each sentence.
 *
 * The server is the one of `CLAWDFORGE_URL` (see Servers.ts), else a `forge serve` that it starts. With `--loop 1h` it is
 * checked again and again for that long; the resources of a started server are then compared with those after the first
 * rounds.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Cause, Clock, Console, Duration, Effect, Exit, Option } from "effect"
import { parseArgs } from "node:util"
import * as Values from "../../src/cli/Values.ts"
import * as NodeForgeClient from "../../src/node/NodeForgeClient.ts"
import * as Figures from "../soak/Figures.ts"
import type { Case } from "./Case.ts"
import * as Served from "./Served.ts"
import { Server } from "./Server.ts"
import * as Servers from "./Servers.ts"
import * as Suite from "./Suite.ts"

interface Result {
  readonly title: string
  readonly outcome: "ok" | "skipped" | "FAILED"
  readonly why: string
}

const hold = Effect.fnUntraced(function* (title: string, one: Case) {
  const exit = yield* Effect.exit(Effect.timeout(Suite.hold(one), "60 seconds"))
  const result: Result = Exit.isFailure(exit)
    ? { title, outcome: "FAILED", why: Cause.pretty(exit.cause) }
    : exit.value.length > 0
      ? { title, outcome: "skipped", why: `it has no ${exit.value.join(", no ")}` }
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

const print = Effect.fnUntraced(function* (results: ReadonlyArray<Result>, options: { readonly all: boolean }) {
  for (const { outcome, title, why } of results) {
    if (options.all || outcome === "FAILED")
      yield* Console.log(`${outcome.padEnd(7)} ${title}${why === "" ? "" : `\n        ${why}`}`)
  }
  const counts = (["ok", "skipped", "FAILED"] as const).map((outcome) => `${countOf(results, outcome)} ${outcome}`)
  yield* Console.log(counts.join(", "))
  return countOf(results, "FAILED") === 0
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
    green = (yield* print(yield* oneRound, { all: false })) && green
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

const program = Effect.gen(function* () {
  const { values } = parseArgs({ options: { loop: { type: "string" } } })
  const given = process.env["CLAWDFORGE_URL"] !== undefined
  const own = given ? undefined : yield* watched
  const server = own === undefined ? Servers.byUrl : Servers.over(own.served)
  // The limits of another server are unknown.
  const oneRound = round(server, given ? 2 : 4)
  if (values.loop === undefined) return yield* print(yield* oneRound, { all: true })
  const time = Values.durationOf(values.loop.replace(/^(\d+)([hms])$/, (_, count, unit) => `${count} ${units[unit]}`))
  if (Option.isNone(time))
    return yield* Console.error("--loop takes a span of time, such as 1h or 90s").pipe(Effect.as(false))
  return yield* loop(oneRound, time.value, own?.takeFigures)
})

program.pipe(
  Effect.tap((green) => Effect.sync(() => (process.exitCode = green ? 0 : 1))),
  Effect.scoped,
  NodeRuntime.runMain
)
