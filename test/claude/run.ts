/**
 * Real Claude, as far as a machine without a model allows: the adapter from the registry, Claude Code inside of it, our
 * server before it, and a stand-in of the Messages API behind it: `npm run try:claude`.
 *
 * The adapter is installed into `--folder`, and used from there the next time; without one, into a folder that is removed
 * at the end. `--only` takes the checks whose names match. One line is printed for each check, and the exit code is 1
 * when one failed.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Cause, Console, Data, Duration, Effect, Exit, Option } from "effect"
import { parseArgs } from "node:util"
import type { ForgeClient } from "../../src/ForgeClient.ts"
import { goneWithFolder } from "../support/Processes.ts"
import * as Adapter from "./Adapter.ts"
import * as Checks from "./Checks.ts"
import { Claude, layerClient, make } from "./Claude.ts"

class SomeFailed extends Data.TaggedError("SomeFailed")<{ readonly message: string }> {}

type Services = Claude | ForgeClient | NodeServices.NodeServices

const checks: Readonly<Record<string, Effect.Effect<string, unknown, Services>>> = {
  "text, and a second turn about the first": Checks.twoTurns,
  thinking: Checks.thinks,
  usage: Checks.usageTold,
  "a tool that is allowed": Checks.toolAllowed,
  "a tool that is denied": Checks.toolDenied,
  "an operator with loose settings": Checks.operatorsSettings,
  "a cancel in the middle of an answer": Checks.cancelled,
  "an interrupt in the middle of an answer": Checks.interrupted,
  "the model": Checks.model,
  "a run": Checks.oneRun,
  "the effort": Checks.effort,
  "a system prompt": Checks.systemPrompt,
  "a file": Checks.attached,
  "killed between two turns": Checks.resumed,
  "killed in a turn": Checks.killedInTurn,
  "the API is down": Checks.apiDown,
  "the API refuses": Checks.apiRefuses,
  "a key that is not valid": Checks.wrongKey,
  "not logged in": Checks.notLoggedIn,
  "forge serve": Checks.served,
  "the network": Checks.nobodyLeaves
}

/** What went wrong, on one line. */
const wordsOf = (cause: Cause.Cause<unknown>): string =>
  Option.match(Cause.findErrorOption(cause), {
    onNone: () => Cause.pretty(cause),
    onSome: (error) => (error instanceof Error ? `${error.name}: ${error.message}` : String(error))
  }).replaceAll(/\s+/g, " ")

/** Runs a check, prints what came of it, and says whether it is right. */
const run = Effect.fnUntraced(function* <R>(name: string, check: Effect.Effect<string, unknown, R>) {
  const [took, exit] = yield* Effect.timed(Effect.exit(Effect.timeout(check, "90 seconds")))
  const right = Exit.isSuccess(exit)
  const seen = right ? exit.value : wordsOf(exit.cause)
  const seconds = (Duration.toMillis(took) / 1000).toFixed(1)
  yield* Console.log(`${right ? "ok    " : "FAILED"} ${name} (${seconds} s): ${seen}`)
  return right
})

const { values: options } = parseArgs({
  options: { folder: { type: "string" }, only: { type: "string", default: "" } }
})

const chosen = Object.entries(checks).filter(([name]) => new RegExp(options.only).test(name))

const program = Effect.gen(function* () {
  const adapter = yield* Adapter.install(options.folder)
  yield* Console.log(
    `claude-agent-acp ${adapter.version} with Claude Code ${adapter.claudeCode}, Node ${process.version}`
  )
  const claude = yield* make(adapter)
  const all = Effect.forEach(chosen, ([name, check]) => run(name, check))
  const right = yield* all.pipe(Effect.provide(layerClient), Effect.provideService(Claude, claude))
  const gone = goneWithFolder(claude.home).pipe(Effect.as("no process is left"))
  const failed = [...right, yield* run("the end", gone)].filter((right) => !right).length
  if (failed > 0) return yield* new SomeFailed({ message: `${failed} failed` })
})

program.pipe(
  Effect.scoped,
  Effect.provide(NodeServices.layer),
  Effect.tapCause((cause) => Console.error(wordsOf(cause))),
  NodeRuntime.runMain({ disableErrorReporting: true })
)
