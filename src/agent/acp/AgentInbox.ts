/**
 * Routes an agent's session updates and permission requests to the turn in flight.
 *
 * What belongs to a turn (text, tool calls, permissions, …) is, by when it comes:
 *
 * - before the first prompt of the process: history, which some agents replay after they have loaded a session. It is
 *   dropped.
 * - from the prompt to the end of the quiet time after the answer: an event of that turn.
 * - later: an event of the turn that is over, which the next turn reports as late.
 *
 * What is about the session (its mode, its title, …) is kept for the next turn.
 */
import { type Cause, Duration, Effect, Equal, Latch, Option, Queue, Schema, type Scope } from "effect"
import { type OpenCall, toEvent, type ToolCalls } from "../../wire/AcpUpdate.ts"
import * as CallIdentity from "../../wire/CallIdentity.ts"
import type { TurnEvent } from "../../wire/TurnEvent.ts"
import type { Usage } from "../../wire/Usage.ts"
import { type ChunkJoiner, chunkJoiner } from "../../wire/WellFormed.ts"
import type { AgentDefinition, AgentFailed, TurnEnd } from "../Agent.ts"
import type { LateEvents } from "./LateEvents.ts"
import * as Permission from "./Permission.ts"
import type { QuietTime } from "./QuietTime.ts"
import * as SessionUsage from "./SessionUsage.ts"

const Update = Schema.Struct({ sessionId: Schema.String, update: Schema.Unknown })
type Update = typeof Update.Type
const isUpdate = Schema.is(Update)

/** The kinds of event that belong to one turn. */
const turnScoped: ReadonlySet<TurnEvent["_tag"]> = new Set([
  "Text",
  "Thinking",
  "Content",
  "ToolCall",
  "Plan",
  "Usage",
  "Permission"
])

/** The kinds of which each event replaces the previous one. */
const superseding: ReadonlySet<TurnEvent["_tag"]> = new Set(["Mode", "Config", "Commands"])

/** The kinds that say how a session stands: until the first prompt, an agent sends all others of it as history. */
const ofState: ReadonlySet<TurnEvent["_tag"]> = new Set([...superseding, "SessionInfo"])

/** An event about the session, until the next turn. */
interface Pending {
  readonly sessionId: string
  readonly event: TurnEvent
}

/** The events between two turns that still matter to the next one. */
const relevantEvents = (pending: ReadonlyArray<Pending>): ReadonlyArray<TurnEvent> => {
  const last = new Map(pending.map(({ event }) => [event._tag, event]))
  return pending
    .map(({ event }) => event)
    .filter((event) => !superseding.has(event._tag) || last.get(event._tag) === event)
}

/** The most events about the session kept between two turns; the oldest are dropped. */
const maxPending = 100

/** The longest that a turn is held open after its answer by an agent that goes on sending. */
const maxSettling = "1 second"

/** How long nothing of the history of a loaded session may come before the first prompt. */
const historyQuiet = Duration.millis(100)

/** The events of one turn, up to its end. */
export type TurnQueue = Queue.Queue<TurnEvent | TurnEnd, AgentFailed | Cause.Done>

/** The turn in flight. */
interface ActiveTurn {
  readonly index: number
  readonly isFirstOfProcess: boolean
  readonly events: TurnQueue
  readonly toolCalls: ToolCalls
  /** The calls that were not permitted. */
  readonly refused: Set<OpenCall>
  readonly chunks: ChunkJoiner
  cancelling: boolean
  isAnswered: boolean
}

export interface Options {
  readonly permissions: AgentDefinition["permissions"]
  /** Shared by all processes of the agent. */
  readonly quietTime: QuietTime
  /** Those of the session. */
  readonly lateEvents: LateEvents
}

export interface AgentInbox {
  /** Takes the raw `params` of an update; suspends while the turn's queue is full. */
  readonly update: (params: unknown) => Effect.Effect<void>
  /** Answers a permission request; its tool call, as the request has it, becomes an event before the permission does. */
  readonly permission: (request: Permission.Request) => Effect.Effect<Permission.Outcome>
  /** Sets the session's id once it is open. Updates received while it was being loaded are history, and dropped. */
  readonly opened: (session: {
    readonly id: string
    readonly loaded: boolean
    /** Whether the agent counts the tokens of its whole session. */
    readonly countsSession?: boolean | undefined
  }) => Effect.Effect<void>
  /** Waits until no more history comes, for an agent that replays it after it has loaded the session. */
  readonly historyEnd: Effect.Effect<void>
  /** Makes a turn the one in flight, until it is detached or the scope closes. */
  readonly attach: (turn: {
    readonly index: number
    readonly events: TurnQueue
  }) => Effect.Effect<void, never, Scope.Scope>
  /** Marks the turn in flight as answered: what comes for it from now on is late. */
  readonly answered: Effect.Effect<void>
  /** Waits, after the answer, until nothing more has come for the quiet time. */
  readonly settle: Effect.Effect<void>
  /** Ends the turn in flight: its queue takes no more events. */
  readonly detach: Effect.Effect<void>
  /** Cancels all further permission requests of the turn in flight. */
  readonly beginCancel: Effect.Effect<void>
  /**
   * Completes the events of the turn in flight at its end: calls that were not permitted and that the agent left open have
   * failed, since they did not run, and half a character stays alone.
   */
  readonly complete: Effect.Effect<void>
  /** What the turn in flight used by its answer, as far as it is known. */
  readonly usage: (answer: Readonly<Record<string, unknown>>) => Effect.Effect<Usage | undefined>
}

/**
 * The tool call of a permission request as an update, which patches the call or begins one; undefined if it says nothing new.
 * Null says nothing here.
 */
const updateOf = ({ toolCall }: Permission.Request, known: OpenCall | undefined) => {
  const said = Object.entries(toolCall).filter(([, value]) => value !== null)
  const isEnded = CallIdentity.isEnded(known?.get("status"))
  if (known !== undefined && !isEnded && said.every(([name, value]) => Equal.equals(known.get(name), value))) return
  return { ...Object.fromEntries(said), sessionUpdate: isEnded ? "tool_call" : "tool_call_update" }
}

export const make = ({ lateEvents, permissions, quietTime }: Options): AgentInbox => {
  let sessionId: string | undefined
  let isLoaded = false
  let current: ActiveTurn | undefined
  /** The last turn of this process that is over. */
  let last: ActiveTurn | undefined
  let pending: ReadonlyArray<Pending> = []
  const usage = SessionUsage.make()
  /** Opened by each event that is late, or of the history. */
  const activity = Latch.makeUnsafe()

  const eventOf = (turn: ActiveTurn | undefined, update: unknown): TurnEvent => {
    const event = toEvent(update, turn?.toolCalls ?? new Map())
    if (turn !== undefined) usage.report(update, event)
    return event
  }

  /** Adds an event, with the characters of its text whole; whether the turn took it. */
  const offer = Effect.fnUntraced(function* ({ chunks, events }: ActiveTurn, event: TurnEvent) {
    if (event._tag !== "Text" && event._tag !== "Thinking") return yield* Queue.offer(events, event)
    return (yield* Queue.offerAll(events, chunks.add(event))).length === 0
  })

  const isHistory = ({ _tag }: TurnEvent): boolean =>
    current === undefined && last === undefined && (isLoaded ? !ofState.has(_tag) : turnScoped.has(_tag))

  /** Waits for so long, and returns early if there is activity; whether there was. What is there already is read in any case. */
  const hasActivity = Effect.fnUntraced(function* (time: Duration.Duration) {
    activity.closeUnsafe()
    if (!Duration.isZero(time)) return Option.isSome(yield* Effect.timeoutOption(activity.await, time))
    // One turn of the event loop, in which the output is read.
    yield* Effect.andThen(Effect.yieldNow, Effect.yieldNow)
    return activity.isOpen()
  })

  /** Waits until there was no activity for so long. */
  const quiet = (time: () => Duration.Duration): Effect.Effect<void> =>
    Effect.suspend(() => hasActivity(time())).pipe(Effect.repeat({ while: (wasActive) => wasActive }), Effect.asVoid)

  const detach = Effect.sync(() => {
    last = current ?? last
    current = undefined
  })

  /** The event of what a permission is asked for, if the request says anything new. */
  const callEvents = (turn: ActiveTurn, request: Permission.Request): ReadonlyArray<TurnEvent> => {
    const update = updateOf(request, turn.toolCalls.get(request.toolCall.toolCallId))
    return update === undefined ? [] : [toEvent(update, turn.toolCalls)]
  }

  const isThisSession = (update: Pick<Update, "sessionId">): boolean =>
    sessionId === undefined || update.sessionId === sessionId

  return {
    update: Effect.fnUntraced(function* (update) {
      if (!isUpdate(update) || !isThisSession(update)) return
      const turn = current ?? last
      const event = eventOf(turn, update.update)
      if (isHistory(event)) return activity.openUnsafe()
      const isOfTurn = turnScoped.has(event._tag)
      if (isOfTurn && turn?.isAnswered === true) {
        quietTime.recordLate()
        activity.openUnsafe()
      }
      // The queue of a turn that has lost its reader refuses the event.
      if (current !== undefined && (yield* offer(current, event))) return
      if (isOfTurn && turn?.isAnswered === true) lateEvents.add(turn.index, event)
      if (isOfTurn) return
      pending = [...pending, { sessionId: update.sessionId, event }].slice(-maxPending)
    }),
    permission: Effect.fnUntraced(function* (request) {
      if (!isThisSession(request)) return Permission.cancelled.outcome
      if (current === undefined) {
        const { options, toolCall } = request
        const { decision, outcome } = Permission.cancelled
        if (last !== undefined) {
          quietTime.recordLate()
          lateEvents.add(last.index, { _tag: "Permission", toolCallId: toolCall.toolCallId, options, decision })
        }
        return outcome
      }
      const { events, refused, toolCalls } = current
      const decided = current.cancelling ? Permission.cancelled : Permission.decide(permissions, request)
      const { toolCallId } = request.toolCall
      const reported = callEvents(current, request)
      const call = toolCalls.get(toolCallId)
      if (call !== undefined && Permission.isAllowed(decided)) refused.delete(call)
      else if (call !== undefined) refused.add(call)
      const { decision, outcome } = decided
      yield* Queue.offerAll(events, [
        ...reported,
        { _tag: "Permission", toolCallId, options: request.options, decision }
      ])
      return outcome
    }),
    opened: (session) =>
      Effect.sync(() => {
        sessionId = session.id
        isLoaded = session.loaded
        pending = session.loaded ? [] : pending.filter(isThisSession)
        usage.opened({ loaded: session.loaded, countsSession: session.countsSession === true })
      }),
    historyEnd: quiet(() => historyQuiet),
    attach: Effect.fnUntraced(function* ({ events, index }) {
      const earlier = [...lateEvents.take(), ...relevantEvents(pending)]
      pending = []
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          usage.begin()
          current = {
            index,
            isFirstOfProcess: last === undefined,
            events,
            toolCalls: new Map(),
            refused: new Set(),
            chunks: chunkJoiner(),
            cancelling: false,
            isAnswered: false
          }
        }),
        () => detach
      )
      yield* Queue.offerAll(events, earlier)
    }),
    answered: Effect.sync(() => {
      if (current !== undefined) current.isAnswered = true
    }),
    settle: Effect.suspend(() => {
      const turn = current
      if (turn === undefined) return Effect.void
      return Effect.asVoid(
        Effect.timeoutOption(
          quiet(() => quietTime.after(turn)),
          maxSettling
        )
      )
    }),
    detach,
    beginCancel: Effect.sync(() => {
      if (current !== undefined) current.cancelling = true
    }),
    complete: Effect.suspend(() => {
      if (current === undefined) return Effect.void
      const { chunks, events, refused, toolCalls } = current
      const open = [...refused].filter((call) => !CallIdentity.isEnded(call.get("status")))
      const ends = open.map((call) =>
        toEvent({ sessionUpdate: "tool_call_update", toolCallId: call.get("toolCallId"), status: "failed" }, toolCalls)
      )
      return Effect.asVoid(Queue.offerAll(events, [...chunks.end(), ...ends]))
    }),
    usage: (answer) => Effect.sync(() => usage.end(answer))
  }
}
