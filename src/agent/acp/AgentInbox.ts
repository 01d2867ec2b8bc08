/**
 * Routes an agent's session updates and permission requests to the turn in flight.
 *
 * Updates that arrive between turns are kept for the next turn, unless they only concern a turn that is over.
 */
import { type Cause, Effect, Equal, Queue, Schema, type Scope } from "effect"
import { type OpenCall, toEvent, type ToolCalls } from "../../wire/AcpUpdate.ts"
import * as CallIdentity from "../../wire/CallIdentity.ts"
import type { TurnEvent } from "../../wire/TurnEvent.ts"
import type { Usage } from "../../wire/Usage.ts"
import { type ChunkJoiner, chunkJoiner } from "../../wire/WellFormed.ts"
import type { AgentDefinition, AgentFailed, TurnEnd } from "../Agent.ts"
import * as Permission from "./Permission.ts"
import * as SessionUsage from "./SessionUsage.ts"

const Update = Schema.Struct({ sessionId: Schema.String, update: Schema.Unknown })
type Update = typeof Update.Type
const isUpdate = Schema.is(Update)

/** The kinds of event that belong to one turn; between turns they are dropped. */
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

/** The events between two turns that still matter to the next one. */
const relevantEvents = (pending: ReadonlyArray<Update>): ReadonlyArray<TurnEvent> => {
  const events = pending.map(({ update }) => toEvent(update, new Map())).filter(({ _tag }) => !turnScoped.has(_tag))
  const last = new Map(events.map((event) => [event._tag, event]))
  return events.filter((event) => !superseding.has(event._tag) || last.get(event._tag) === event)
}

/** The most updates kept between two turns; the oldest are dropped. */
const maxPending = 100

/** The events of one turn, up to its end. */
export type TurnQueue = Queue.Queue<TurnEvent | TurnEnd, AgentFailed | Cause.Done>

/** The turn in flight. */
interface ActiveTurn {
  readonly events: TurnQueue
  readonly toolCalls: ToolCalls
  /** The calls that were not permitted. */
  readonly refused: Set<OpenCall>
  readonly chunks: ChunkJoiner
  cancelling: boolean
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
  /** Makes a turn the one in flight, until the scope closes. */
  readonly attach: (events: TurnQueue) => Effect.Effect<void, never, Scope.Scope>
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

export const make = (permissions: AgentDefinition["permissions"]): AgentInbox => {
  let sessionId: string | undefined
  let current: ActiveTurn | undefined
  let pending: ReadonlyArray<Update> = []
  const usage = SessionUsage.make()

  const eventOf = (turn: ActiveTurn, update: unknown): TurnEvent => {
    const event = toEvent(update, turn.toolCalls)
    usage.report(update, event)
    return event
  }

  /** Adds an event, with the characters of its text whole; whether the turn took it. */
  const offer = Effect.fnUntraced(function* ({ chunks, events }: ActiveTurn, event: TurnEvent) {
    if (event._tag !== "Text" && event._tag !== "Thinking") return yield* Queue.offer(events, event)
    return (yield* Queue.offerAll(events, chunks.add(event))).length === 0
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
      // The queue of a turn that has ended refuses the event.
      if (current !== undefined && (yield* offer(current, eventOf(current, update.update)))) return
      pending = [...pending, update].slice(-maxPending)
    }),
    permission: Effect.fnUntraced(function* (request) {
      if (current === undefined || !isThisSession(request)) return Permission.cancelled.outcome
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
        pending = session.loaded ? [] : pending.filter(isThisSession)
        usage.opened({ loaded: session.loaded, countsSession: session.countsSession === true })
      }),
    attach: Effect.fnUntraced(function* (events) {
      const earlier = relevantEvents(pending)
      pending = []
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          usage.begin()
          current = { events, toolCalls: new Map(), refused: new Set(), chunks: chunkJoiner(), cancelling: false }
        }),
        () =>
          Effect.sync(() => {
            current = undefined
          })
      )
      yield* Queue.offerAll(events, earlier)
    }),
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
