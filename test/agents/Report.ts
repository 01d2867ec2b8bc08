/**
 * The results of the trial: a line for each check as it ends, and one table.
 */
import { Cause, Console, Duration, Effect, Exit, Option } from "effect"
import { type Agent, checkNames } from "./Agent.ts"

export interface Result {
  readonly check: string
  readonly verdict: "ok" | "-" | "FAILED"
  /** What was seen, what went wrong, or why the agent cannot. */
  readonly summary: string
}

export interface Row {
  readonly agent: Agent
  readonly results: ReadonlyArray<Result>
}

/** The error, on one line. */
export const messageOf = (cause: Cause.Cause<unknown>): string =>
  Option.match(Cause.findErrorOption(cause), {
    onNone: () => Cause.pretty(cause),
    onSome: (error) => (error instanceof Error ? `${error.name}: ${error.message}` : String(error))
  }).replaceAll(/\s+/g, " ")

const print = ({ check, summary, verdict }: Result, agent: Agent, took?: Duration.Duration) => {
  const time = took === undefined ? "" : ` (${(Duration.toMillis(took) / 1000).toFixed(1)} s)`
  return Console.log(`${verdict.padEnd(6)} ${agent.name}, ${check}${time}: ${summary}`)
}

/** Runs a check and prints its result. */
export const run = Effect.fnUntraced(function* <R>(
  agent: Agent,
  check: string,
  effect: Effect.Effect<string, unknown, R>
) {
  const [took, exit] = yield* Effect.timed(Effect.exit(Effect.timeout(effect, "3 minutes")))
  const passed = Exit.isSuccess(exit)
  const summary = passed ? exit.value : messageOf(exit.cause)
  const result: Result = { check, verdict: passed ? "ok" : "FAILED", summary }
  yield* print(result, agent, took)
  return result
})

/** A check that is not run, since the agent cannot pass it. */
export const cannot = Effect.fnUntraced(function* (agent: Agent, check: string, reason: string) {
  const result: Result = { check, verdict: "-", summary: reason }
  yield* print(result, agent)
  return result
})

const line = (cells: ReadonlyArray<string>) => `| ${cells.join(" | ")} |`

/** One table in Markdown, of the checks that all agents share. */
export const table = (rows: ReadonlyArray<Row>): string => {
  const columns = checkNames.filter((name) => rows.some(({ results }) => results.some(({ check }) => check === name)))
  const body = rows.map(({ agent, results }) => [
    `\`${agent.package}\` ${agent.version}`,
    ...columns.map((name) => results.find(({ check }) => check === name)?.verdict ?? "")
  ])
  return [["agent", ...columns], ["---", ...columns.map(() => "---")], ...body].map(line).join("\n")
}
