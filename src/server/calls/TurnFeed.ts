/**
 * The events of one turn while it runs, for whoever reads them meanwhile.
 *
 * A reader that comes late gets them from the first one on. The turn goes no further ahead than a reader is behind by
 * its bound, so an agent is not read faster than its slowest reader drains; a turn that nobody reads goes on by itself.
 */
import { Effect, Latch, type Scope } from "effect"
import type { TurnEvent } from "../../wire/TurnEvent.ts"

export interface TurnReader {
  /** Waits until there is something to take, or nothing will be any more. */
  readonly ready: Effect.Effect<void>
  /** The next events; none at the end. */
  readonly take: Effect.Effect<ReadonlyArray<TurnEvent>>
}

export interface TurnFeed {
  /** Adds an event, and waits while a reader is too far behind. */
  readonly offer: (event: TurnEvent) => Effect.Effect<void>
  /** There are no further events. */
  readonly end: Effect.Effect<void>
  /** A reader of all the turn's events, until the scope closes. */
  readonly read: Effect.Effect<TurnReader, never, Scope.Scope>
}

/** A turn that is this many events ahead of a reader waits for it. */
const maxAhead = 512

/** As many events as a reader takes at once. */
const maxTaken = 256

interface Place {
  position: number
  /** Open while there is something to take. */
  readonly news: Latch.Latch
  /** Open while the turn need not wait for this reader. */
  readonly room: Latch.Latch
}

export const make = (options: { readonly isOver: boolean } = { isOver: false }): TurnFeed => {
  const told: Array<TurnEvent> = []
  const places = new Set<Place>()
  let { isOver } = options

  const enter = Effect.sync(() => {
    const place: Place = {
      position: 0,
      news: Latch.makeUnsafe(isOver || told.length > 0),
      room: Latch.makeUnsafe(true)
    }
    places.add(place)
    return place
  })

  const leave = (place: Place) =>
    Effect.sync(() => {
      places.delete(place)
      place.room.openUnsafe()
      place.news.openUnsafe()
    })

  const take = (place: Place) =>
    Effect.sync(() => {
      const taken = told.slice(place.position, place.position + maxTaken)
      place.position += taken.length
      if (place.position === told.length && !isOver) place.news.closeUnsafe()
      if (told.length - place.position <= maxAhead) place.room.openUnsafe()
      return taken
    })

  return {
    offer: (event) =>
      Effect.suspend(() => {
        told.push(event)
        for (const place of places) place.news.openUnsafe()
        const behind = [...places].filter(({ position }) => told.length - position > maxAhead)
        for (const { room } of behind) room.closeUnsafe()
        return Effect.forEach(behind, ({ room }) => room.await, { discard: true })
      }),
    end: Effect.sync(() => {
      isOver = true
      for (const place of places) place.news.openUnsafe()
    }),
    read: Effect.map(Effect.acquireRelease(enter, leave), (place) => ({
      ready: place.news.await,
      take: take(place)
    }))
  }
}

/** That of a turn that is over, whose events are in its answer. */
export const ended = make({ isOver: true })
