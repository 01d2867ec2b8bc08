/**
 * Many clients at a server for a long time, which must hold at the end what it held at the start.
 *
 * `npm run soak -- --for "1 hour" --seed 7`: five minutes if not given. In the first quarter the server has many lives on
 * the same data: it is killed, alone or with its watchdog, or told to end, each time in the middle of everything. Then it
 * has one long life, of which what it holds is looked at again and again (see Figures.ts). It exits with 1 when something
 * grew, when the ledger does not say what clients were told, when an agent outlived its server, or when a prompt reached
 * an agent twice.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Clock, Console, Duration, Effect, Fiber, Random } from "effect"
import { Command, Flag } from "effect/cli"
import { writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import * as Values from "../../src/cli/Values.ts"
import * as Served from "../conformance/Served.ts"
import * as Processes from "../support/Processes.ts"
import * as Book from "./Book.ts"
import type { Phase } from "./Client.ts"
import * as Figures from "./Figures.ts"
import * as Http from "./Http.ts"
import * as Life from "./Life.ts"
import * as Mix from "./Mix.ts"
import * as Tally from "./Tally.ts"

const flags = {
  duration: Values.duration("for").pipe(
    Flag.withDescription("The total duration"),
    Flag.withDefault(Duration.minutes(5))
  ),
  seed: Flag.String("seed").pipe(Flag.withDescription("What decides who does what when"), Flag.withDefault("1"))
}

/** The lives that are cut short have this long each, in milliseconds, and at most a quarter of the time together. */
const shortest = 2_000
const longest = 14_000

/**
 * What is filled once is filled first, in a tenth of the long life: also code is compiled and feedback gathered in that
 * time, which takes the longer the busier the machine is. The rest has so many samples.
 */
const shortestStart = 45_000
const samplesOfLongLife = 9
const shortestSample = 1_000

const soak = Effect.fnUntraced(function* (duration: Duration.Duration) {
  const home = yield* Served.home
  const adminToken = Served.newToken()
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
    ...Figures.watched(home)
  })
  let token = ""
  const serverOf = Effect.fnUntraced(function* ({ url }: Served.Served) {
    if (token !== "") return { url, token }
    const { text } = yield* Http.call(url, adminToken, "POST", "/admin/tokens", { body: { name: "soak" } })
    token = JSON.parse(text).token
    return { url, token }
  })

  /** A life as it begins, before anybody asks for anything. */
  const checkBeginning = Effect.fnUntraced(function* (life: string, { data, pid }: Served.Served) {
    const left = Processes.withFolder(home).filter((found) => found !== pid)
    yield* note(life, left.length === 0 ? [] : [`${left.length} processes of an earlier life are left`])
    yield* note(life, Book.contradictions(book, data))
    yield* note(life, Book.takeStrangers(book, data))
    yield* note(life, Book.misdirected(book, sent))
  })

  /** How much of its log says why a server did what it should not. */
  const logTail = 5_000

  const mix = Effect.fnUntraced(function* (served: Served.Served, millis: number, end?: Effect.Effect<void>) {
    const phase: Phase = { isOver: false, mayBreak: end !== undefined }
    const mixing = yield* Effect.forkChild(Mix.run(yield* serverOf(served), book, phase))
    const tellLog = Effect.suspend(() => Console.error(served.stderr().slice(-logTail)))
    // A fault ends it before.
    yield* Effect.onError(Effect.timeoutOption(Fiber.join(mixing), millis), () => tellLog)
    phase.isOver = true
    if (end !== undefined) yield* end
    yield* Effect.onError(Fiber.join(mixing), () => tellLog)
  })

  const shortLife = Effect.fnUntraced(function* (life: string, ending: Life.Ending) {
    const served = yield* begin
    yield* checkBeginning(life, served)
    yield* mix(served, yield* Random.nextIntBetween(shortest, longest), ending.end(served))
    yield* note(life, yield* Life.remains(home, ending))
    yield* Console.log(life)
  }, Effect.scoped)

  const longLife = Effect.fnUntraced(function* (millis: number) {
    const served = yield* begin
    const { hardTtlMillis } = Life
    yield* checkBeginning("the long life", served)
    const server = yield* serverOf(served)
    const look = Effect.fnUntraced(function* (name: string, start?: Figures.Figures) {
      yield* note(name, Book.contradictions(book, served.data))
      yield* note(name, Book.strangers(book, served.data))
      yield* Mix.closeAll(server, book)
      const now = yield* Figures.settled({ ...served, hardTtlMillis }, start)
      yield* note(name, Book.contradictions(book, served.data))
      yield* note(name, Book.misdirected(book, sent))
      yield* Console.log(`${name}: ${Figures.line(now)}`)
      return now
    })
    const start = Math.max(millis / 10, shortestStart)
    const each = Math.max((millis - start) / samplesOfLongLife, shortestSample)
    yield* mix(served, start)
    const samples = [yield* look("start")]
    for (let number = 1; number <= samplesOfLongLife; number++) {
      yield* mix(served, each)
      samples.push(yield* look(`look ${number}`, samples[0]))
    }
    yield* Life.toldToEnd.end(served)
    yield* note("the long life", yield* Life.remains(home, Life.toldToEnd))
    yield* Console.log(Figures.trend(samples))
    faults.push(...Figures.grown(samples))
  }, Effect.scoped)

  const began = yield* Clock.currentTimeMillis
  const all = Duration.toMillis(duration)
  let lives = 0
  while (lives < Life.endings.length || (yield* Clock.currentTimeMillis) - began + longest < all / 4) {
    const ending = Life.endings[lives % Life.endings.length] ?? Life.toldToEnd
    yield* shortLife(`life ${++lives}, ${ending.name}`, ending)
  }
  yield* longLife(all - ((yield* Clock.currentTimeMillis) - began))

  const seconds = Math.round(((yield* Clock.currentTimeMillis) - began) / 1000)
  const calls = Tally.total(book.counts)
  yield* Console.log(`${calls} calls in ${seconds} s over ${lives + 1} lives; ${book.arrived.size} prompts arrived`)
  yield* Console.log(Tally.lines(book.counts))
  if (faults.length === 0) return yield* Console.log("nothing grew, nothing was lost, nothing came twice")
  yield* Console.log(`FAULTS: ${faults.join("; ")}`)
  return yield* Effect.sync(() => {
    process.exitCode = 1
  })
}, Effect.scoped)

const command = Command.make("soak", flags, ({ duration, seed }) =>
  Effect.andThen(Console.log(`seed ${seed}, ${Duration.format(duration)}`), Random.withSeed(soak(duration), seed))
)

NodeRuntime.runMain(Command.run(command, { version: "1" }).pipe(Effect.provide(NodeServices.layer)))
