/**
 * The soak test: many clients use a server for a long time, and it must not grow or lose anything.
 *
 * `npm run soak -- --for "1 hour" --seed 7`; five minutes by default. In the first quarter the server has many short lives
 * on the same data: each is killed under load, alone or with its watchdog, or terminated. Then it has one long life, in
 * which its resources are measured repeatedly (see Figures.ts). Exits with 1 if a resource grew, if the ledger contradicts
 * what was acknowledged to clients, if an agent outlived its server, or if a prompt reached an agent twice or not at all.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Clock, Console, Duration, Effect, Fiber, Random } from "effect"
import { Command, Flag } from "effect/cli"
import { writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import * as Values from "../../src/cli/Values.ts"
import * as Served from "../conformance/Served.ts"
import { newAdminToken } from "../conformance/Server.ts"
import * as Processes from "../support/Processes.ts"
import * as Book from "./Book.ts"
import * as Figures from "./Figures.ts"
import * as Client from "./Client.ts"
import * as Life from "./Life.ts"
import * as Mix from "./Mix.ts"
import * as Tally from "./Tally.ts"

const flags = {
  duration: Values.duration("for").pipe(
    Flag.withDescription("The total duration"),
    Flag.withDefault(Duration.minutes(5))
  ),
  seed: Flag.String("seed").pipe(Flag.withDescription("The seed of the random mix of calls"), Flag.withDefault("1"))
}

/** The bounds of a short life in milliseconds. All short lives together take at most a quarter of the time. */
const minLife = 2_000
const maxLife = 14_000

/**
 * The warm-up takes a tenth of the long life: caches fill, and code is compiled, which takes longer on a busy machine. The
 * rest is divided into samples.
 */
const minWarmUp = 45_000
const sampleCount = 9
const minSample = 1_000

const soak = Effect.fnUntraced(function* (duration: Duration.Duration) {
  const home = yield* Served.home
  const adminToken = newAdminToken()
  const sent = `${home}/sent.ndjson`
  writeFileSync(sent, "")
  const agent = fileURLToPath(new URL("./RecordedAgent.ts", import.meta.url))
  const agents = { demo: { command: [process.execPath, agent], env: { SENT: sent } } }
  writeFileSync(`${home}/agents.json`, JSON.stringify(agents))

  const book = Book.make()
  const faults: Array<string> = []
  const note = Effect.fnUntraced(function* (life: string, found: ReadonlyArray<string>) {
    for (const fault of found) yield* Console.log(`FAULT ${life}: ${fault}`)
    faults.push(...found)
  })

  const begin = Served.serve({
    home,
    adminToken,
    flags: [...Life.settings, `--agents=${home}/agents.json`],
    ...Figures.probeSettings(home)
  })
  let token = ""
  const serverOf = Effect.fnUntraced(function* ({ url }: Served.Served) {
    if (token !== "") return { url, token }
    const { text } = yield* Client.call({ url, token: adminToken }, "POST", "/admin/tokens", { body: { name: "soak" } })
    token = JSON.parse(text).token
    return { url, token }
  })

  /** A life as it begins, before anybody asks for anything. */
  const checkBeginning = Effect.fnUntraced(function* (life: string, { data, pid }: Served.Served) {
    const left = Processes.withFolder(home).filter((found) => found !== pid)
    yield* note(life, left.length === 0 ? [] : [`${left.length} processes of an earlier life are left`])
    yield* note(life, Book.contradictions(book, data))
    yield* note(life, Book.adoptUnknownSessions(book, data))
    yield* note(life, Book.deliveryFaults(book, sent))
  })

  /** How many characters of a server's log are printed after a fault. */
  const logTail = 5_000

  const mix = Effect.fnUntraced(function* (served: Served.Served, millis: number, end?: Effect.Effect<void>) {
    const phase: Client.Phase = { isOver: false, mayBreak: end !== undefined }
    const mixing = yield* Effect.forkChild(Mix.run(yield* serverOf(served), book, phase))
    const printLog = Effect.suspend(() => Console.error(served.stderr().slice(-logTail)))
    // A fault ends the mix early.
    yield* Effect.onError(Effect.timeoutOption(Fiber.join(mixing), millis), () => printLog)
    phase.isOver = true
    if (end !== undefined) yield* end
    yield* Effect.onError(Fiber.join(mixing), () => printLog)
  })

  const shortLife = Effect.fnUntraced(function* (life: string, ending: Life.Ending) {
    const served = yield* begin
    yield* checkBeginning(life, served)
    yield* mix(served, yield* Random.nextIntBetween(minLife, maxLife), ending.end(served))
    yield* note(life, yield* Life.remains(home, ending))
    yield* Console.log(life)
  }, Effect.scoped)

  const longLife = Effect.fnUntraced(function* (millis: number) {
    const served = yield* begin
    const { hardTtlMillis } = Life
    yield* checkBeginning("the long life", served)
    const server = yield* serverOf(served)
    const sample = Effect.fnUntraced(function* (name: string, start?: Figures.Figures) {
      yield* note(name, Book.contradictions(book, served.data))
      yield* note(name, Book.unknownSessions(book, served.data))
      yield* Mix.closeAll(server, book)
      const now = yield* Figures.settled({ ...served, hardTtlMillis }, start)
      yield* note(name, Book.contradictions(book, served.data))
      yield* note(name, Book.deliveryFaults(book, sent))
      yield* Console.log(`${name}: ${Figures.line(now)}`)
      return now
    })
    const start = Math.max(millis / 10, minWarmUp)
    const each = Math.max((millis - start) / sampleCount, minSample)
    yield* mix(served, start)
    const samples = [yield* sample("start")]
    for (let number = 1; number <= sampleCount; number++) {
      yield* mix(served, each)
      samples.push(yield* sample(`sample ${number}`, samples[0]))
    }
    yield* Life.terminated.end(served)
    yield* note("the long life", yield* Life.remains(home, Life.terminated))
    yield* Console.log(Figures.trend(samples))
    faults.push(...Figures.grown(samples))
  }, Effect.scoped)

  const began = yield* Clock.currentTimeMillis
  const all = Duration.toMillis(duration)
  let lives = 0
  while (lives < Life.endings.length || (yield* Clock.currentTimeMillis) - began + maxLife < all / 4) {
    const ending = Life.endings[lives % Life.endings.length] ?? Life.terminated
    yield* shortLife(`life ${++lives}, ${ending.name}`, ending)
  }
  yield* longLife(all - ((yield* Clock.currentTimeMillis) - began))

  const seconds = Math.round(((yield* Clock.currentTimeMillis) - began) / 1000)
  const calls = Tally.total(book.counts)
  yield* Console.log(`${calls} calls in ${seconds} s over ${lives + 1} lives; ${book.arrived.size} prompts arrived`)
  yield* Console.log(Tally.lines(book.counts))
  if (faults.length === 0) return yield* Console.log("nothing grew, nothing was lost, nothing arrived twice")
  yield* Console.log(`FAULTS: ${faults.join("; ")}`)
  return yield* Effect.sync(() => {
    process.exitCode = 1
  })
}, Effect.scoped)

const command = Command.make("soak", flags, ({ duration, seed }) =>
  Effect.andThen(Console.log(`seed ${seed}, ${Duration.format(duration)}`), Random.withSeed(soak(duration), seed))
)

NodeRuntime.runMain(Command.run(command, { version: "1" }).pipe(Effect.provide(NodeServices.layer)))
