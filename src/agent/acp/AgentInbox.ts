/**
 * Routes an agent's session updates and permission requests to the turn in flight.
 *
 * Updates that arrive between turns are kept for the next turn, unless they only concern a turn that is over.
 */
import { type Cause, Effect, Queue, Schema, type Scope } from "effect"
import { toEvent, type ToolCalls } from "../../wire/AcpUpdate.ts"
import type { TurnEvent } from "../../wire/TurnEvent.ts"
import type { AgentDefinition, AgentFailed, TurnEnd } from "../Agent.ts"
import * as Permission from "./Permission.ts"

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
  readonly costBefore: number | undefined
  /** What the session has cost so far, if the agent reported it in this turn. */
  cost: number | undefined
  cancelling: boolean
}

export interface AgentInbox {
  /** Takes the raw `params` of an update; suspends while the turn's queue is full. */
  readonly update: (params: unknown) => Effect.Effect<void>
  readonly permission: (request: Permission.Request) => Effect.Effect<Permission.Outcome>
  /** Sets the session's id once it is open. Updates received while it was being loaded are history, and dropped. */
  readonly opened: (session: { readonly id: string; readonly loaded: boolean }) => Effect.Effect<void>
  /** Makes a turn the one in flight, until the scope closes. */
  readonly attach: (events: TurnQueue) => Effect.Effect<void, never, Scope.Scope>
  /** Cancels all further permission requests of the turn in flight. */
  readonly beginCancel: Effect.Effect<void>
  /** What the turn in flight has cost so far in US dollars, if known. */
  readonly cost: Effect.Effect<number | undefined>
}

export const make = (permissions: AgentDefinition["permissions"]): AgentInbox => {
  let sessionId: string | undefined
  let current: ActiveTurn | undefined
  let pending: ReadonlyArray<Update> = []
  /** The session's total cost in US dollars; unknown after it has been restored, until the agent reports it. */
  let cost: number | undefined

  const eventOf = (turn: ActiveTurn, update: unknown): TurnEvent => {
    const event = toEvent(update, turn.toolCalls)
    if (event._tag === "Usage" && event.cost?.currency === "USD") turn.cost = event.cost.amount
    return event
  }

  const isThisSession = (update: Pick<Update, "sessionId">): boolean =>
    sessionId === undefined || update.sessionId === sessionId

  return {
    update: Effect.fnUntraced(function* (update) {
      if (!isUpdate(update) || !isThisSession(update)) return
      // The queue of a turn that has ended refuses the event.
      if (current !== undefined && (yield* Queue.offer(current.events, eventOf(current, update.update)))) return
      pending = [...pending, update].slice(-maxPending)
    }),
    permission: Effect.fnUntraced(function* (request) {
      if (current === undefined || !isThisSession(request)) return Permission.cancelled.outcome
      const { decision, outcome } = current.cancelling ? Permission.cancelled : Permission.decide(permissions, request)
      const { options, toolCall } = request
      yield* Queue.offer(current.events, { _tag: "Permission", toolCallId: toolCall.toolCallId, options, decision })
      return outcome
    }),
    opened: (session) =>
      Effect.sync(() => {
        sessionId = session.id
        pending = session.loaded ? [] : pending.filter(isThisSession)
        cost = session.loaded ? undefined : 0
      }),
    attach: Effect.fnUntraced(function* (events) {
      const earlier = relevantEvents(pending)
      pending = []
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          current = { events, toolCalls: new Map(), costBefore: cost, cost: undefined, cancelling: false }
        }),
        () =>
          Effect.sync(() => {
            cost = current?.cost ?? cost
            current = undefined
          })
      )
      yield* Queue.offerAll(events, earlier)
    }),
    beginCancel: Effect.sync(() => {
      if (current !== undefined) current.cancelling = true
    }),
    cost: Effect.sync(() =>
      current?.cost === undefined || current.costBefore === undefined ? undefined : current.cost - current.costBefore
    )
  }
}
