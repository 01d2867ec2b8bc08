/**
 * The turns of an open session: a prompt goes out, events come back as they happen, and the agent's answer ends them.
 *
 * A turn that is cancelled, interrupted or out of time first asks the agent to stop. An agent that does not obey within
 * the grace loses its process: the session can be brought back by another one.
 */
import { type Cause, Duration, Effect, Fiber, Option, Queue, Schema, Stream } from "effect"
import { pathToFileURL } from "node:url"
import type { TurnEvent } from "../../wire/TurnEvent.ts"
import type { Usage } from "../../wire/Usage.ts"
import type { AgentFailed, AgentSession, AgentTurn, Attachment, TurnEnd } from "../Agent.ts"
import type { AgentChild } from "../process/AgentProcess.ts"
import type { AgentConnection } from "./AgentConnection.ts"
import type { AgentInbox, TurnQueue } from "./AgentInbox.ts"

export interface Options {
  /** The agent's name, for sentences. */
  readonly name: string
  readonly sessionId: string
  readonly child: AgentChild
  readonly connection: AgentConnection
  readonly inbox: AgentInbox
  /** How long an agent may take to obey a cancel. */
  readonly cancelGrace: Duration.Input
}

/** An agent that is this far ahead of its reader waits for it. */
const maxAhead = 1_024

const tokens = Schema.optionalKey(Schema.NullOr(Schema.Finite))
const Answer = Schema.Struct({
  stopReason: Schema.String,
  usage: Schema.optionalKey(Schema.Unknown)
})
const AnswerUsage = Schema.Struct({
  inputTokens: tokens,
  outputTokens: tokens,
  totalTokens: tokens,
  cachedReadTokens: tokens
})
const isAnswerUsage = Schema.is(AnswerUsage)

/** A word, as the protocol's reasons are. Whatever else an agent sends there could be a text, which is kept for long. */
const stopReasonOf = ({ stopReason }: typeof Answer.Type): string =>
  /^[A-Za-z0-9_.-]{1,64}$/.test(stopReason) ? stopReason : "other"

const usageOf = (answer: typeof Answer.Type): Usage | undefined => {
  if (!isAnswerUsage(answer.usage)) return undefined
  const { cachedReadTokens, inputTokens, outputTokens, totalTokens } = answer.usage
  return {
    ...(typeof inputTokens === "number" ? { inputTokens } : {}),
    ...(typeof outputTokens === "number" ? { outputTokens } : {}),
    ...(typeof cachedReadTokens === "number" ? { cachedTokens: cachedReadTokens } : {}),
    ...(typeof totalTokens === "number" ? { totalTokens } : {})
  }
}

const resourceLink = (file: Attachment) => ({
  type: "resource_link",
  name: file.name,
  uri: pathToFileURL(file.path).href,
  ...(file.size === undefined ? {} : { size: file.size })
})

/** The files first, then the user's own words as they are. */
const blocks = (turn: AgentTurn) => [...turn.files.map(resourceLink), { type: "text", text: turn.prompt }]

export const make = (options: Options): Pick<AgentSession, "turn"> => {
  const { child, connection, inbox, name, sessionId } = options

  const prompt = (turn: AgentTurn) =>
    connection
      .request({ method: "session/prompt", params: { sessionId, prompt: blocks(turn) }, answer: Answer })
      .pipe(Effect.catchTag("RequestRefused", ({ reason }) => child.fail(`Agent ${name} failed the turn: ${reason}`)))

  const outOfTime = (turn: AgentTurn) =>
    child.fail(`Agent ${name} did not finish the turn within ${Duration.format(turn.timeout)}.`, "timeout")

  const start = Effect.fnUntraced(function* (turn: AgentTurn, cancel: Effect.Effect<unknown>) {
    const events: TurnQueue = yield* Queue.bounded<TurnEvent | TurnEnd, AgentFailed | Cause.Done>(maxAhead)
    yield* inbox.attach(events)
    yield* connection.beginTurn
    const answering = yield* Effect.forkScoped(prompt(turn))

    /** Asks the agent to stop, waits until it has, and ends its process where it does not. */
    const halt = Effect.gen(function* () {
      if (answering.pollUnsafe() !== undefined) return
      yield* inbox.cancelling
      yield* connection.notify("session/cancel", { sessionId })
      const answered = yield* Effect.timeoutOption(Fiber.await(answering), options.cancelGrace)
      if (Option.isSome(answered)) return
      yield* child.kill("did not obey a cancel and was ended")
      yield* Fiber.await(answering)
    })

    let cancelled = false
    yield* Effect.addFinalizer(() => Effect.andThen(Queue.shutdown(events), halt))
    yield* cancel.pipe(
      Effect.andThen(() => {
        cancelled = answering.pollUnsafe() === undefined
        return halt
      }),
      Effect.forkScoped
    )

    yield* Fiber.join(answering).pipe(
      Effect.timeoutOrElse({
        duration: turn.timeout,
        orElse: () => Effect.andThen(halt, outOfTime(turn))
      }),
      Effect.catchIf(
        () => cancelled,
        () => Effect.succeed<typeof Answer.Type>({ stopReason: "cancelled" })
      ),
      // Also where the agent calls it an end like any other.
      Effect.flatMap((answer) =>
        conclude({ events, inbox }, cancelled ? { ...answer, stopReason: "cancelled" } : answer)
      ),
      Effect.catch((failure) => Queue.fail(events, failure)),
      Effect.forkScoped
    )
    return Stream.fromQueue(events)
  })

  return { turn: (turn, cancel = Effect.never) => Stream.unwrap(start(turn, cancel)) }
}

const conclude = Effect.fnUntraced(function* (
  { events, inbox }: { readonly events: TurnQueue; readonly inbox: AgentInbox },
  answer: typeof Answer.Type
) {
  const told = usageOf(answer)
  const costUsd = yield* inbox.cost
  const usage = costUsd === undefined ? told : { ...told, costUsd }
  if (told !== undefined) yield* Queue.offer(events, { _tag: "Usage", ...told })
  yield* Queue.offer(events, {
    _tag: "TurnEnd",
    stopReason: stopReasonOf(answer),
    ...(usage === undefined ? {} : { usage })
  })
  return yield* Queue.end(events)
})
