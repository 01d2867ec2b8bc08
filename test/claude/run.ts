/**
 * Checks the real Claude adapter and Claude Code behind our server, with a fake of the Messages API as the model:
 * `npm run try:claude`.
 *
 * The adapter is installed into `--folder`, to be used again the next time, or else into a temporary folder. `--only`
 * selects the checks whose names match a regular expression. Prints one line per check, and exits with 1 if one failed.
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

class ChecksFailed extends Data.TaggedError("ChecksFailed")<{ readonly message: string }> {}

type Services = Claude | ForgeClient | NodeServices.NodeServices

const checks: Readonly<Record<string, Effect.Effect<string, unknown, Services>>> = {
  "text, and a second turn about the first": Checks.twoTurns,
  thinking: Checks.thinks,
  usage: Checks.usageReported,
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
  "the network": Checks.network
}

/** The error, on one line. */
const messageOf = (cause: Cause.Cause<unknown>): string =>
  Option.match(Cause.findErrorOption(cause), {
    onNone: () => Cause.pretty(cause),
    onSome: (error) => (error instanceof Error ? `${error.name}: ${error.message}` : String(error))
  }).replaceAll(/\s+/g, " ")

/** Runs a check, prints its summary or its error, and returns whether it passed. */
const run = Effect.fnUntraced(function* <R>(name: string, check: Effect.Effect<string, unknown, R>) {
  const [took, exit] = yield* Effect.timed(Effect.exit(Effect.timeout(check, "90 seconds")))
  const passed = Exit.isSuccess(exit)
  const summary = passed ? exit.value : messageOf(exit.cause)
  const seconds = (Duration.toMillis(took) / 1000).toFixed(1)
  yield* Console.log(`${passed ? "ok    " : "FAILED"} ${name} (${seconds} s): ${summary}`)
  return passed
})

const { values: options } = parseArgs({
  options: { folder: { type: "string" }, only: { type: "string", default: "" } }
})

const selected = Object.entries(checks).filter(([name]) => new RegExp(options.only).test(name))

const program = Effect.gen(function* () {
  const adapter = yield* Adapter.install(options.folder)
  yield* Console.log(
    `claude-agent-acp ${adapter.version} with Claude Code ${adapter.claudeCode}, Node ${process.version}`
  )
  const claude = yield* make(adapter)
  const all = Effect.forEach(selected, ([name, check]) => run(name, check))
  const results = yield* all.pipe(Effect.provide(layerClient), Effect.provideService(Claude, claude))
  const noProcessLeft = goneWithFolder(claude.home).pipe(Effect.as("no process is left"))
  const failed = [...results, yield* run("shutdown", noProcessLeft)].filter((passed) => !passed).length
  if (failed > 0) return yield* new ChecksFailed({ message: `${failed} failed` })
})

program.pipe(
  Effect.scoped,
  Effect.provide(NodeServices.layer),
  Effect.tapCause((cause) => Console.error(messageOf(cause))),
  NodeRuntime.runMain({ disableErrorReporting: true })
)
