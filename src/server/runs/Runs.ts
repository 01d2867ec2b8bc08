/**
 * Runs: one prompt to a new agent process, which ends with its answer.
 *
 * Each leaves a row for the operator, which holds no text.
 */
import { Clock, Context, Duration, Effect, Exit, Layer, Option, type Schema, Semaphore, Stream } from "effect"
import { AgentFailed, type SystemPrompt, type TurnEnd } from "../../agent/Agent.ts"
import {
  type FileNotFound,
  Invalid,
  type PoolFull,
  RunFailed,
  type StorageUnavailable,
  TooManyRuns
} from "../../api/Errors.ts"
import type { TurnEvent } from "../../wire/TurnEvent.ts"
import type { Usage } from "../../wire/Usage.ts"
import { AgentPool } from "../agents/AgentPool.ts"
import { Agents, unknown } from "../agents/Agents.ts"
import { WorkingDirectories } from "../storage/WorkingDirectories.ts"
import { Ledger } from "../storage/Ledger.ts"
import * as StorageFailure from "../storage/StorageFailure.ts"
import * as AgentFailure from "../agents/AgentFailure.ts"
import * as RunResult from "./RunResult.ts"
import { type Upload, Uploads } from "../files/Uploads.ts"
import { Shutdown } from "../Shutdown.ts"
import * as Spans from "../Spans.ts"
import * as Stopwatch from "../Stopwatch.ts"

/** A run to execute. */
export interface NewRun {
  readonly app: { readonly id: number; readonly name: string }
  /** Its name in the table; the default one if not given. */
  readonly agent?: string | undefined
  readonly prompt: string
  readonly files: ReadonlyArray<Upload>
  readonly model?: string | undefined
  readonly effort?: string | undefined
  readonly system?: SystemPrompt | undefined
  /** For all of the run, including the start of the agent. */
  readonly timeout: Duration.Duration
  /** Takes each event as it happens. The agent is read no faster than it does. */
  readonly onEvent: (event: TurnEvent) => Effect.Effect<void>
}

/** A run that ended. */
export interface Run {
  readonly result: Schema.Json
  readonly duration: Duration.Duration
  readonly stopReason: string
  readonly usage?: Usage | undefined
}

export class Runs extends Context.Service<
  Runs,
  {
    /** Succeeds once the agent has ended. Interrupting it ends the agent. */
    readonly run: (
      run: NewRun
    ) => Effect.Effect<Run, FileNotFound | Invalid | PoolFull | RunFailed | StorageUnavailable | TooManyRuns>
  }
>()("effect-clawdforge/server/runs/Runs") {}

export interface Options {
  /** How many runs may be under way at once; 4 if not given. */
  readonly maxRuns?: number | undefined
}

const defaultMaxRuns = 4

/** The longest text that is kept of a run, in characters. */
const maxText = 32 * 1024 * 1024

const tooMuch = (agent: string) =>
  new AgentFailed({ error: `Agent ${agent} said too much.`, kind: "too_much_output", stderr: "", stopReason: "error" })

/** Failures of a run that no agent was handed. */
type Refusal = FileNotFound | Invalid | PoolFull | StorageUnavailable

/** What the agent said, and how its turn ended. */
interface Outcome {
  readonly text: string
  readonly end: TurnEnd
}

const byteLength = (text: string) => new TextEncoder().encode(text).byteLength

/** Whether a run ended before an agent was handed it. */
const isRefused = (exit: Exit.Exit<Outcome, Refusal | RunFailed>): boolean =>
  !Exit.hasInterrupts(exit) && Option.exists(Exit.findErrorOption(exit), ({ _tag }) => _tag !== "RunFailed")

/** The outcome of a run in its row. */
const outcomeOf = (exit: Exit.Exit<Outcome, Refusal | RunFailed>): string => {
  if (Exit.isSuccess(exit)) return exit.value.end.stopReason
  if (Exit.hasInterrupts(exit)) return "cancelled"
  if (isRefused(exit)) return "refused"
  const failure = Option.getOrUndefined(Exit.findErrorOption(exit))
  return failure?._tag === "RunFailed" ? (failure.stopReason ?? "error") : "error"
}

export const make = Effect.fnUntraced(function* (options: Options) {
  const agents = yield* Agents
  const directories = yield* WorkingDirectories
  const ledger = yield* Ledger
  const pool = yield* AgentPool
  const shutdown = yield* Shutdown
  const uploads = yield* Uploads
  const runPermits = yield* Semaphore.make(options.maxRuns ?? defaultMaxRuns)

  // The agents of an earlier server have ended by now: the watchdog starts before the table of agents.
  yield* directories.removeRuns

  const record = Effect.fnUntraced(function* (
    run: NewRun,
    agent: string,
    began: { readonly at: number; readonly elapsed: Stopwatch.Stopwatch },
    exit: Exit.Exit<Outcome, Refusal | RunFailed>
  ) {
    const duration = yield* began.elapsed
    const recorded = ledger.addRun({
      appId: run.app.id,
      appName: run.app.name,
      agent,
      at: began.at,
      promptBytes: byteLength(run.prompt),
      responseBytes: Exit.isSuccess(exit) ? byteLength(exit.value.text) : 0,
      durationMillis: Duration.toMillis(duration),
      outcome: outcomeOf(exit)
    })
    // Unless the run was refused, the agent may have acted. A refusal is the answer, with or without its row.
    yield* isRefused(exit) ? Effect.catch(recorded, StorageFailure.log) : StorageFailure.orOutcomeUnknown(recorded)
  })

  const collect = Effect.fnUntraced(function* (
    agent: string,
    events: Stream.Stream<TurnEvent | TurnEnd, AgentFailed>,
    onEvent: NewRun["onEvent"]
  ) {
    const transcript = RunResult.make()
    let end: TurnEnd | undefined
    yield* Stream.runForEach(events, (event) => {
      if (event._tag === "TurnEnd") {
        end = event
        return Effect.void
      }
      transcript.add(event)
      return transcript.length() <= maxText ? onEvent(event) : Effect.fail(tooMuch(agent))
    })
    if (end === undefined) return yield* Effect.die(new Error("the turn ended without TurnEnd"))
    const outcome: Outcome = { text: transcript.finalText(), end }
    return outcome
  })

  const cancelled = Effect.andThen(
    shutdown.graceIsOver,
    Effect.fail(
      new AgentFailed({ error: "The server is ending: the run was cancelled.", stderr: "", stopReason: "cancelled" })
    )
  )

  /** The folder is acquired before the agent, so it is removed after the agent has ended. */
  const execute = Effect.fnUntraced(function* (run: NewRun, agent: string, elapsed: Stopwatch.Stopwatch) {
    const { effort, model, onEvent, prompt, system, timeout } = run
    const outOfTime = (stderr: string) =>
      new AgentFailed({
        error: `Agent ${agent} did not finish the run within ${Duration.format(timeout)}.`,
        stderr,
        stopReason: "timeout"
      })
    const cwd = yield* directories.ofRun
    const files = yield* uploads.stage(run.files, { cwd })
    const session = yield* pool.acquire.pipe(
      Effect.andThen(agents.open(agent, { cwd, effort, model, system })),
      Spans.acquireProcess(agent),
      Effect.timeoutOrElse({ duration: timeout, orElse: () => Effect.fail(outOfTime("")) }),
      Effect.catchTag("AgentFailed", AgentFailure.toRunFailedBeforeWork(elapsed, agent))
    )
    const left = Duration.subtract(timeout, yield* elapsed)
    const events = Spans.prompt(agent)(session.turn({ index: 1, prompt, files, timeout: left }))
    return yield* collect(agent, events, onEvent).pipe(
      Effect.mapError((failure) => (failure.stopReason === "timeout" ? outOfTime(failure.stderr) : failure))
    )
  }, Effect.scoped)

  const attempt = Effect.fnUntraced(function* (run: NewRun) {
    const at = yield* Clock.currentTimeMillis
    const elapsed = yield* Stopwatch.start
    const agent = run.agent ?? Option.getOrUndefined(agents.defaultName)
    if (agent === undefined) {
      const failed = AgentFailure.toRunFailedBeforeWork(elapsed, "")
      return yield* failed({ error: "There is no agent.", kind: "unknown_agent", stderr: "", stopReason: "error" })
    }
    const { end, text } = yield* Effect.raceFirst(execute(run, agent, elapsed), cancelled).pipe(
      Effect.catchTags({
        AgentFailed: AgentFailure.toRunFailed(elapsed, agent),
        AgentOptionRefused: ({ error, option }) => Effect.fail(Invalid.body(option, error))
      }),
      Effect.onExit((exit) => record(run, agent, { at, elapsed }, exit))
    )
    const done: Run = {
      result: RunResult.fromText(text),
      duration: yield* elapsed,
      stopReason: end.stopReason,
      usage: end.usage
    }
    return done
  })

  return Runs.of({
    run: Effect.fnUntraced(function* (run: NewRun) {
      if (run.agent !== undefined && !agents.has(run.agent)) return yield* unknown(agents)
      const done = yield* runPermits.withPermitsIfAvailable(1)(attempt(run))
      return Option.isSome(done) ? done.value : yield* new TooManyRuns()
    }, Spans.run)
  })
})

export const layer = (options: Options) => Layer.effect(Runs, make(options))
