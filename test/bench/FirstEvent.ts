/**
 * Compares the time to the first event of a turn over the event stream with that of the protocol library alone and the
 * same agent: `node test/bench/FirstEvent.ts [TURNS]`.
 *
 * The two alternate, to run under the same conditions. The machine should be idle, since a turn through a server needs
 * three times as many context switches. Exits with 1 if the median is more than five milliseconds later than with the
 * library alone.
 */
import { Console, Effect } from "effect"
import * as BareSession from "./BareSession.ts"
import * as ServedSessions from "./ServedSessions.ts"

const turns = Number(process.argv[2] ?? 300)
const warmUp = 100
const allowedMillis = 5

const percentile = (of: ReadonlyArray<number>, part: number): number =>
  of.toSorted((a, b) => a - b)[Math.floor(of.length * part)] ?? 0

const bench = Effect.gen(function* () {
  const { open, served } = yield* ServedSessions.serve
  const { stream } = yield* open
  let begun = 0
  let first: number | undefined
  const mark = () => (first ??= performance.now() - begun)
  const bare = yield* Effect.acquireRelease(
    Effect.promise(() => BareSession.open(served.home, mark)),
    ({ close }) => Effect.promise(close)
  )

  /** Runs a turn and returns the time to its first event. */
  const timed = Effect.fnUntraced(function* <A>(turn: Effect.Effect<A>) {
    first = undefined
    begun = performance.now()
    yield* turn
    return first ?? NaN
  })
  const bySdk = timed(Effect.promise(() => bare.turn("/echo hello")))
  const byStream = timed(stream("/echo hello", (text) => text.includes("\n\n") && mark()))

  const [sdk, server]: [Array<number>, Array<number>] = [[], []]
  for (let turn = 0; turn < warmUp + turns; turn++) {
    const took = [yield* bySdk, yield* byStream] as const
    if (turn < warmUp) continue
    sdk.push(took[0])
    server.push(took[1])
  }
  const print = (name: string, of: ReadonlyArray<number>) =>
    Console.log(`${name}: ${percentile(of, 0.5).toFixed(2)} ms (half), ${percentile(of, 0.95).toFixed(2)} ms (95 %)`)
  yield* print("the library alone", sdk)
  yield* print("the event stream ", server)
  const later = percentile(server, 0.5) - percentile(sdk, 0.5)
  const ratio = percentile(server, 0.5) / percentile(sdk, 0.5)
  yield* Console.log(
    `${later.toFixed(2)} ms later, ${ratio.toFixed(1)} times as long; ${allowedMillis} ms are allowed, over ${turns} turns each`
  )
  return later <= allowedMillis
}).pipe(Effect.scoped)

process.exitCode = (await Effect.runPromise(bench)) ? 0 : 1
