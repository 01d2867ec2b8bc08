/**
 * The turns of an open session: sends a prompt and streams its events until the agent's response ends the turn.
 *
 * When a turn is cancelled, interrupted or out of time, the agent is first asked to stop. If it does not within
 * `cancelGrace`, its process is killed; another process can restore the session.
 */
import { type Cause, Duration, Effect, Fiber, Option, Queue, Result, Schema, Stream } from "effect"
import type { TurnEvent } from "../../wire/TurnEvent.ts"
import type { AgentFailed, AgentSession, AgentTurn, TurnEnd } from "../Agent.ts"
import type { AgentChild } from "../process/AgentProcess.ts"
import type { AgentConnection } from "./AgentConnection.ts"
import type { AgentInbox, TurnQueue } from "./AgentInbox.ts"
import type { PromptBlocks } from "./PromptBlocks.ts"
import type { QuietTime } from "./QuietTime.ts"

export interface Options {
  /** The agent's name, for error messages. */
  readonly name: string
  readonly sessionId: string
  readonly child: AgentChild
  readonly connection: AgentConnection
  readonly inbox: AgentInbox
  readonly quietTime: QuietTime
  readonly blocksOf: PromptBlocks
  /** How long an agent may take to stop after a cancel. */
  readonly cancelGrace: Duration.Input
}

/** The most events queued for a slow reader before the agent has to wait. */
const queueCapacity = 1_024

/** How long a process that answers `cancelled` because it is being killed may take to exit. */
const exitGrace = "100 millis"

const Answer = Schema.Struct({
  stopReason: Schema.String,
  usage: Schema.optionalKey(Schema.Unknown),
  _meta: Schema.optionalKey(Schema.Unknown)
})

/** One word, as in the protocol. Anything else becomes `other`, because stop reasons are stored. */
const stopReasonOf = ({ stopReason }: typeof Answer.Type): string =>
  /^[A-Za-z0-9_.-]{1,64}$/.test(stopReason) ? stopReason : "other"

export const make = (options: Options): Pick<AgentSession, "turn"> => {
  const { blocksOf, child, connection, inbox, name, quietTime, sessionId } = options

  const prompt = Effect.fnUntraced(
    function* (turn: AgentTurn) {
      const params = { sessionId, prompt: yield* blocksOf(turn) }
      return yield* connection.request({ method: "session/prompt", params, answer: Answer })
    },
    Effect.catchTag("RequestRefused", ({ kind, reason }) =>
      child.fail(`Agent ${name} failed the turn: ${reason}`, "error", kind)
    )
  )

  const timedOut = (turn: AgentTurn) =>
    child.fail(`Agent ${name} did not finish the turn within ${Duration.format(turn.timeout)}.`, "timeout")

  /** Waits for what the agent sends after its answer. Of a process that ends with it, all that it wrote is read. */
  const settle = Effect.gen(function* () {
    const hasEnded = yield* Effect.raceFirst(Effect.as(inbox.settle, false), Effect.as(connection.ended, true))
    if (!hasEnded) return
    quietTime.recordLate()
    yield* connection.exited
  })

  const start = Effect.fnUntraced(function* (turn: AgentTurn, cancel: Effect.Effect<unknown>) {
    const events: TurnQueue = yield* Queue.bounded<TurnEvent | TurnEnd, AgentFailed | Cause.Done>(queueCapacity)
    yield* inbox.attach({ index: turn.index, events })
    yield* connection.beginTurn
    const response = yield* Effect.forkScoped(Effect.ensuring(prompt(turn), inbox.answered))

    /** Asks the agent to stop, and kills its process if it does not in time. */
    const stop = Effect.gen(function* () {
      if (response.pollUnsafe() !== undefined) return
      yield* inbox.beginCancel
      yield* connection.notify("session/cancel", { sessionId })
      const answered = yield* Effect.timeoutOption(Fiber.await(response), options.cancelGrace)
      if (Option.isSome(answered)) return
      yield* child.kill("did not stop after a cancel and was terminated")
      yield* Fiber.await(response)
    })

    let cancelled = false
    /** A process that is killed may still answer `cancelled`, which no caller asked for: then the turn fails by its end. */
    const unlessCut = Effect.fnUntraced(function* (answer: typeof Answer.Type) {
      if (cancelled || answer.stopReason !== "cancelled") return answer
      const ended = yield* Effect.timeoutOption(connection.ended, exitGrace)
      return Option.isSome(ended) ? yield* Effect.flatMap(connection.exited, Effect.fail) : answer
    })

    yield* Effect.addFinalizer(() => Effect.andThen(Queue.shutdown(events), stop))
    yield* cancel.pipe(
      Effect.andThen(() => {
        cancelled = response.pollUnsafe() === undefined
        return stop
      }),
      Effect.forkScoped
    )

    const answer = Fiber.join(response).pipe(
      Effect.timeoutOrElse({
        duration: turn.timeout,
        orElse: () => Effect.andThen(stop, timedOut(turn))
      }),
      Effect.flatMap((answer) => unlessCut(answer)),
      Effect.catchIf(
        () => cancelled,
        () => Effect.succeed<typeof Answer.Type>({ stopReason: "cancelled" })
      ),
      // Some agents report a normal end after a cancel.
      Effect.map((answer) => (cancelled ? { ...answer, stopReason: "cancelled" } : answer))
    )
    yield* Effect.gen(function* () {
      const answered = yield* Effect.result(answer)
      yield* settle
      yield* inbox.complete
      yield* inbox.detach
      yield* Result.isFailure(answered)
        ? Queue.fail(events, answered.failure)
        : finish({ events, inbox }, answered.success)
    }).pipe(Effect.forkScoped)
    return Stream.fromQueue(events)
  })

  return { turn: (turn, cancel = Effect.never) => Stream.unwrap(start(turn, cancel)) }
}

const finish = Effect.fnUntraced(function* (
  { events, inbox }: { readonly events: TurnQueue; readonly inbox: AgentInbox },
  answer: typeof Answer.Type
) {
  const usage = yield* inbox.usage(answer)
  const { costUsd: _cost, ...tokens } = usage ?? {}
  if (Object.keys(tokens).length > 0) yield* Queue.offer(events, { _tag: "Usage", ...tokens })
  yield* Queue.offer(events, {
    _tag: "TurnEnd",
    stopReason: stopReasonOf(answer),
    ...(usage === undefined ? {} : { usage })
  })
  return yield* Queue.end(events)
})
