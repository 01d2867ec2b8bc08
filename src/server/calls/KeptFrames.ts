/**
 * The frames that are kept of a call that has ended: the newest ones up to a bound, as text in pieces of some length, so
 * that a reader holds one piece at a time.
 */
import { Effect, Option } from "effect"
import type { StorageUnavailable } from "../../api/Errors.ts"
import type { CallFeed, FrameReader, Frames } from "./CallFeed.ts"
import * as EventFrames from "./EventFrames.ts"

/** Frames that are stored together. */
export interface Piece {
  /** The number of the first frame, and of the last one. */
  readonly first: number
  readonly last: number
  readonly text: string
}

/** What is to be kept of the frames of a call. */
export interface ToKeep {
  /** How many there were. */
  readonly count: number
  readonly pieces: ReadonlyArray<Piece>
}

/** About how many bytes are stored and read together. */
const pieceBytes = 256 * 1024

const encoder = new TextEncoder()

/** The newest of some frames that are at most so many bytes together, in pieces. */
export const piecesOf = ({ first, texts }: Frames, maxBytes: number): ReadonlyArray<Piece> => {
  const pieces: Array<Piece> = []
  let [from, left, bytes] = [texts.length, maxBytes, 0]
  let inPiece: Array<string> = []
  const endPiece = () => {
    if (inPiece.length === 0) return
    const start = first + from
    pieces.push({ first: start, last: start + inPiece.length - 1, text: inPiece.toReversed().join("") })
    inPiece = []
    bytes = 0
  }
  while (from > 0) {
    const text = texts[from - 1] ?? ""
    const size = encoder.encode(text).byteLength
    if (size > left) break
    if (bytes + size > pieceBytes) endPiece()
    from--
    left -= size
    bytes += size
    inPiece.push(text)
  }
  endPiece()
  return pieces.toReversed()
}

/** What is to be kept of a call that is over. */
export const fromFeed = Effect.fnUntraced(function* (feed: CallFeed, maxBytes: number): Effect.fn.Return<ToKeep> {
  return { count: yield* feed.count, pieces: piecesOf(yield* feed.frames, maxBytes) }
})

/** What is kept of the frames of a call. */
export interface Kept {
  /** How many it had; null where that is unknown. */
  readonly count: number | null
  /** The first piece that has a frame after this number. */
  readonly pieceAfter: (after: number) => Effect.Effect<Option.Option<Piece>, StorageUnavailable>
}

/** A reader of what is kept, after the frame of a number. Whatever is not there is a gap. */
export const reader = ({ count, pieceAfter }: Kept, after: number): FrameReader => {
  let position = after
  let isOver = count !== null && position >= count
  const take = Effect.gen(function* () {
    if (isOver) return []
    const found = yield* pieceAfter(position)
    if (Option.isNone(found)) {
      isOver = true
      return [EventFrames.gap({ after: position, next: null })]
    }
    const { first, last, text } = found.value
    const isGap = first > position + 1
    const gap = isGap ? [EventFrames.gap({ after: position, next: first })] : []
    const frames = EventFrames.split(text).slice(isGap ? 0 : position + 1 - first)
    position = last
    isOver = last === count
    return [...gap, ...frames]
  })
  return { ready: Effect.void, take }
}
