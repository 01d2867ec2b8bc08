/**
 * The events of one turn, kept while it runs, for any number of readers.
 *
 * Each reader gets all events, however late it starts. The turn is never ahead of a reader by more than a bound, so an
 * agent is read no faster than the slowest reader of its turn; a turn without readers does not wait.
 */
import { Effect, Latch, type Scope } from "effect"
import type { TurnEvent } from "../../wire/TurnEvent.ts"

export interface TurnReader {
  /** Waits until there are events to take, or the turn has ended. */
  readonly ready: Effect.Effect<void>
  /** The next events; none at the end. */
  readonly take: Effect.Effect<ReadonlyArray<TurnEvent>>
}

export interface TurnFeed {
  /** Adds an event, and waits while a reader is too far behind. */
  readonly offer: (event: TurnEvent) => Effect.Effect<void>
  /** Ends the feed: no event follows. */
  readonly end: Effect.Effect<void>
  /** All events so far. */
  readonly events: ReadonlyArray<TurnEvent>
  /** A reader of all events, until the scope closes. */
  readonly read: Effect.Effect<TurnReader, never, Scope.Scope>
}

/** How many events a turn may be ahead of a reader. */
const maxAhead = 512

/** How many events a reader takes at once. */
const maxTaken = 256

/** How far a reader is. */
interface Cursor {
  position: number
  /** Open while the reader has something to take. */
  readonly ready: Latch.Latch
  /** Open while the turn need not wait for the reader. */
  readonly caughtUp: Latch.Latch
}

export const make = (options: { readonly hasEnded: boolean } = { hasEnded: false }): TurnFeed => {
  const events: Array<TurnEvent> = []
  const cursors = new Set<Cursor>()
  let { hasEnded } = options

  const open = Effect.sync(() => {
    const cursor: Cursor = {
      position: 0,
      ready: Latch.makeUnsafe(hasEnded || events.length > 0),
      caughtUp: Latch.makeUnsafe(true)
    }
    cursors.add(cursor)
    return cursor
  })

  const close = (cursor: Cursor) =>
    Effect.sync(() => {
      cursors.delete(cursor)
      cursor.caughtUp.openUnsafe()
      cursor.ready.openUnsafe()
    })

  const take = (cursor: Cursor) =>
    Effect.sync(() => {
      const taken = events.slice(cursor.position, cursor.position + maxTaken)
      cursor.position += taken.length
      if (cursor.position === events.length && !hasEnded) cursor.ready.closeUnsafe()
      if (events.length - cursor.position <= maxAhead) cursor.caughtUp.openUnsafe()
      return taken
    })

  return {
    offer: (event) =>
      Effect.suspend(() => {
        events.push(event)
        for (const { ready } of cursors) ready.openUnsafe()
        const behind = [...cursors].filter(({ position }) => events.length - position > maxAhead)
        for (const { caughtUp } of behind) caughtUp.closeUnsafe()
        return Effect.forEach(behind, ({ caughtUp }) => caughtUp.await, { discard: true })
      }),
    end: Effect.sync(() => {
      hasEnded = true
      for (const { ready } of cursors) ready.openUnsafe()
    }),
    events,
    read: Effect.map(Effect.acquireRelease(open, close), (cursor) => ({
      ready: cursor.ready.await,
      take: take(cursor)
    }))
  }
}

/** The feed of a call that has ended, whose events are in its answer. */
export const ended = make({ hasEnded: true })
