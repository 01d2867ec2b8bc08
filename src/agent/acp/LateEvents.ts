/**
 * What an agent sent for a turn that was over, until the session's next turn reports it.
 */
import { Effect } from "effect"
import type { Late, TurnEvent } from "../../wire/TurnEvent.ts"
import * as TurnEvents from "../../wire/TurnEvents.ts"
import * as WellFormed from "../../wire/WellFormed.ts"

export interface LateEvents {
  readonly add: (turnIndex: number, event: TurnEvent) => void
  /** Takes all of them, those of each turn merged. */
  readonly take: () => ReadonlyArray<Late>
  /** How many were never taken, or not kept. */
  readonly lost: () => number
}

/** Fewer than the queue of a turn holds. */
const maxEvents = 500

/** In characters of JSON: they are kept while the agent's process sleeps. */
const maxLength = 1024 * 1024

export const make = (): LateEvents => {
  let events = new Map<number, Array<TurnEvent>>()
  let count = 0
  let length = 0
  let dropped = 0
  return {
    add: (turnIndex, event) => {
      length += JSON.stringify(event).length
      if (++count > maxEvents || length > maxLength) {
        dropped++
        return
      }
      const ofTurn = events.get(turnIndex)
      if (ofTurn === undefined) events.set(turnIndex, [event])
      else ofTurn.push(event)
    },
    take: () => {
      const taken = [...events].flatMap(([turnIndex, ofTurn]) =>
        TurnEvents.merge(ofTurn).map((event): Late => ({ _tag: "Late", turnIndex, event: WellFormed.data(event) }))
      )
      events = new Map()
      count = length = 0
      return taken
    },
    lost: () => [...events.values()].reduce((sum, { length }) => sum + length, dropped)
  }
}

/** The late events of a session. When the scope closes, the number of those that no turn reported is logged. */
export const scoped = (agent: string) =>
  Effect.acquireRelease(Effect.sync(make), (late) => {
    const lost = late.lost()
    return lost === 0
      ? Effect.void
      : Effect.logWarning(`agent ${agent} sent ${lost} events after its answer that no turn reported`)
  })
