/**
 * The events of one turn or run as numbered frames, kept while it runs, for any number of readers.
 *
 * Each reader gets all frames after the one that it names, however late it starts. The call is never ahead of a reader by
 * more than a bound, so an agent is read no faster than the slowest reader of its call; a call without readers does not
 * wait. Where its share of the memory is used up, the oldest frames that every reader has had are dropped, and a reader
 * that asks for them gets a gap.
 */
import { Effect, Latch, type Scope } from "effect"
import type { StorageUnavailable } from "../../api/Errors.ts"
import type { TurnEvent } from "../../wire/TurnEvent.ts"
import type * as TurnBudget from "../TurnBudget.ts"
import * as EventFrames from "./EventFrames.ts"

export interface FrameReader {
  /** Waits until there are frames to take, or the call has ended. */
  readonly ready: Effect.Effect<void>
  /** The next frames, as they are written; none at the end. */
  readonly take: Effect.Effect<ReadonlyArray<string>, StorageUnavailable>
}

/** The frames that are held of a call. */
export interface Frames {
  /** The number of the first one. */
  readonly first: number
  readonly texts: ReadonlyArray<string>
}

export interface CallFeed {
  /** Adds an event, and waits while a reader is too far behind. */
  readonly offer: (event: TurnEvent) => Effect.Effect<void>
  /** Ends the feed: no event follows. */
  readonly end: Effect.Effect<void>
  /** How many events there were so far. */
  readonly count: Effect.Effect<number>
  /** What is held of them. */
  readonly frames: Effect.Effect<Frames>
  /** A reader of the frames after the one of this number, until the scope closes. */
  readonly read: (after: number) => Effect.Effect<FrameReader, never, Scope.Scope>
}

/** How many events a call may be ahead of a reader. */
const maxAhead = 512

/** How many frames a reader takes at once. */
const maxTaken = 256

/** When frames are dropped, at least this part of all: one at a time, each would move all others. */
const droppedPart = 8

/** How far a reader is. */
interface Cursor {
  /** The number of the last frame that it has had. */
  position: number
  /** Open while the reader has something to take. */
  readonly ready: Latch.Latch
  /** Open while the call need not wait for the reader. */
  readonly caughtUp: Latch.Latch
}

export const make = (share: TurnBudget.TurnBudget): CallFeed => {
  const frames: Array<string> = []
  const cursors = new Set<Cursor>()
  /** How many of the oldest frames are not held any more. */
  let dropped = 0
  let characters = 0
  let hasEnded = false

  const count = () => dropped + frames.length

  /** Drops the oldest frames that every reader has had, and returns whether there were any. */
  const drop = (atLeast: number): boolean => {
    const read = Math.min(count(), ...Array.from(cursors, ({ position }) => position))
    const goal = Math.max(atLeast, characters / droppedPart)
    let [number, freed] = [0, 0]
    while (freed < goal && dropped + number < read) freed += frames[number++]?.length ?? 0
    frames.splice(0, number)
    dropped += number
    characters -= freed
    share.give(freed)
    return number > 0
  }

  const add = (frame: string) => {
    const { length } = frame
    if (!share.take(length) && !(drop(length) && share.take(length))) share.hold(length)
    characters += length
    frames.push(frame)
  }

  /** Stops counting the frames, once the call has ended and has no reader. */
  const release = () => {
    if (!hasEnded || cursors.size > 0) return
    share.give(characters)
    characters = 0
  }

  const open = (after: number) =>
    Effect.sync(() => {
      const cursor: Cursor = {
        position: after,
        ready: Latch.makeUnsafe(hasEnded || count() > after),
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
      release()
    })

  const take = (cursor: Cursor) =>
    Effect.sync(() => {
      const { position } = cursor
      const isBehind = position < dropped
      const start = isBehind ? 0 : position - dropped
      const taken = frames.slice(start, start + maxTaken)
      if (taken.length > 0) cursor.position = dropped + start + taken.length
      if (cursor.position >= count() && !hasEnded) cursor.ready.closeUnsafe()
      if (count() - cursor.position <= maxAhead) cursor.caughtUp.openUnsafe()
      return isBehind ? [EventFrames.gap({ after: position, next: dropped + 1 }), ...taken] : taken
    })

  return {
    offer: Effect.fnUntraced(function* (event) {
      add(yield* EventFrames.fromEvent(count() + 1, event))
      const behind: Array<Cursor> = []
      for (const cursor of cursors) {
        if (count() > cursor.position) cursor.ready.openUnsafe()
        if (count() - cursor.position > maxAhead) behind.push(cursor)
      }
      for (const { caughtUp } of behind) caughtUp.closeUnsafe()
      yield* Effect.forEach(behind, ({ caughtUp }) => caughtUp.await, { discard: true })
    }),
    end: Effect.sync(() => {
      hasEnded = true
      for (const { ready } of cursors) ready.openUnsafe()
      release()
    }),
    count: Effect.sync(count),
    frames: Effect.sync(() => ({ first: dropped + 1, texts: frames })),
    read: (after) =>
      Effect.map(Effect.acquireRelease(open(after), close), (cursor) => ({
        ready: cursor.ready.await,
        take: take(cursor)
      }))
  }
}

/** The feed of a call that no reader of events can join: nothing of it is held. */
export const unread: CallFeed = {
  offer: () => Effect.void,
  end: Effect.void,
  count: Effect.succeed(0),
  frames: Effect.succeed({ first: 1, texts: [] }),
  read: () => Effect.succeed({ ready: Effect.void, take: Effect.succeed([]) })
}
