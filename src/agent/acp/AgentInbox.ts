/**
 * What an agent sends by itself: updates of its session, and requests for permission.
 *
 * It goes to the turn in flight. What comes between turns goes to the next one, as far as it is about the session and
 * not about a turn that is over.
 */
import { type Cause, Effect, Queue, Schema, type Scope } from "effect"
import { toEvent, type ToolCalls } from "../../wire/AcpUpdate.ts"
import type { TurnEvent } from "../../wire/TurnEvent.ts"
import type { AgentDefinition, AgentFailed, TurnEnd } from "../Agent.ts"
import * as Permission from "./Permission.ts"

const Update = Schema.Struct({ sessionId: Schema.String, update: Schema.Unknown })
type Update = typeof Update.Type
const isUpdate = Schema.is(Update)

/** The kinds that only mean something within their turn. */
const withinTurn: ReadonlySet<TurnEvent["_tag"]> = new Set([
  "Text",
  "Thinking",
  "Content",
  "ToolCall",
  "Plan",
  "Usage",
  "Permission"
])

/** Each of these replaces the one before it. */
const replaced: ReadonlySet<TurnEvent["_tag"]> = new Set(["Mode", "Config", "Commands"])

/** What came between two turns, as far as it is still news to the next one. */
const news = (kept: ReadonlyArray<Update>): ReadonlyArray<TurnEvent> => {
  const events = kept.map(({ update }) => toEvent(update, new Map())).filter(({ _tag }) => !withinTurn.has(_tag))
  const last = new Map(events.map((event) => [event._tag, event]))
  return events.filter((event) => !replaced.has(event._tag) || last.get(event._tag) === event)
}

/** As many updates as are kept between two turns; the oldest go first. */
const maxKept = 100

/** Where the events of one turn go, up to its end. */
export type TurnQueue = Queue.Queue<TurnEvent | TurnEnd, AgentFailed | Cause.Done>

/** The turn in flight. */
interface Current {
  readonly events: TurnQueue
  readonly calls: ToolCalls
  readonly costBefore: number | undefined
  /** What the session has cost, if the turn told. */
  cost: number | undefined
  cancelling: boolean
}

export interface AgentInbox {
  /** Takes the `params` of an update as the agent sent it; waits while the turn's reader is behind. */
  readonly update: (params: unknown) => Effect.Effect<void>
  readonly permission: (request: Permission.Request) => Effect.Effect<Permission.Outcome>
  /** The agent has opened the session. What it told while it loaded one is history, not news. */
  readonly opened: (session: { readonly id: string; readonly loaded: boolean }) => Effect.Effect<void>
  /** Sends what comes to a turn, until the scope closes. */
  readonly attach: (events: TurnQueue) => Effect.Effect<void, never, Scope.Scope>
  /** From here on the turn in flight gets no permission any more. */
  readonly cancelling: Effect.Effect<void>
  /** What the turn in flight has cost in US dollars, as far as that is known. */
  readonly cost: Effect.Effect<number | undefined>
}

export const make = (permissions: AgentDefinition["permissions"]): AgentInbox => {
  let sessionId: string | undefined
  let current: Current | undefined
  let kept: ReadonlyArray<Update> = []
  /** Agents tell what the whole session has cost, in dollars here; of one that was brought back, it is not known at first. */
  let cost: number | undefined

  const eventOf = (turn: Current, update: unknown): TurnEvent => {
    const event = toEvent(update, turn.calls)
    if (event._tag === "Usage" && event.cost?.currency === "USD") turn.cost = event.cost.amount
    return event
  }

  const isOurs = (update: Pick<Update, "sessionId">): boolean =>
    sessionId === undefined || update.sessionId === sessionId

  return {
    update: Effect.fnUntraced(function* (update) {
      if (!isUpdate(update) || !isOurs(update)) return
      // A turn that has its answer takes nothing any more.
      if (current !== undefined && (yield* Queue.offer(current.events, eventOf(current, update.update)))) return
      kept = [...kept, update].slice(-maxKept)
    }),
    permission: Effect.fnUntraced(function* (request) {
      if (current === undefined || !isOurs(request)) return Permission.cancelled.outcome
      const { decision, outcome } = current.cancelling ? Permission.cancelled : Permission.decide(permissions, request)
      const { options, toolCall } = request
      yield* Queue.offer(current.events, { _tag: "Permission", toolCallId: toolCall.toolCallId, options, decision })
      return outcome
    }),
    opened: (session) =>
      Effect.sync(() => {
        sessionId = session.id
        kept = session.loaded ? [] : kept.filter(isOurs)
        cost = session.loaded ? undefined : 0
      }),
    attach: Effect.fnUntraced(function* (events) {
      const between = news(kept)
      kept = []
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          current = { events, calls: new Map(), costBefore: cost, cost: undefined, cancelling: false }
        }),
        () =>
          Effect.sync(() => {
            cost = current?.cost ?? cost
            current = undefined
          })
      )
      yield* Queue.offerAll(events, between)
    }),
    cancelling: Effect.sync(() => {
      if (current !== undefined) current.cancelling = true
    }),
    cost: Effect.sync(() =>
      current?.cost === undefined || current.costBefore === undefined ? undefined : current.cost - current.costBefore
    )
  }
}
