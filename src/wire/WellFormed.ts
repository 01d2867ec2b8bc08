/**
 * Well-formed Unicode: half of a character (an unpaired UTF-16 surrogate), which cannot be written as UTF-8, becomes U+FFFD.
 *
 * Programs make halves when they cut a text anywhere. JSON carries one only as an escape.
 */
import type { Text, Thinking } from "./TurnEvent.ts"

const replacement = "\u{fffd}"

/** Matches each JSON text with half a character, and some without. */
const surrogateEscape = /\\u[dD][89a-fA-F]/

/** Whether a JSON text may have half a character. */
export const mayHaveHalves = (json: string): boolean => surrogateEscape.test(json)

const withNames = (value: object): unknown =>
  Array.isArray(value) || Object.keys(value).every((name) => name.isWellFormed())
    ? value
    : Object.fromEntries(Object.entries(value).map(([name, member]) => [name.toWellFormed(), member]))

/** A reviver of `JSON.parse` that makes texts and the names of members well-formed. */
export const reviver = (_key: string, value: unknown): unknown => {
  if (typeof value === "string") return value.toWellFormed()
  return typeof value === "object" && value !== null ? withNames(value) : value
}

const isPlain = (value: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

const clean = (value: unknown): unknown => {
  if (typeof value === "string") return value.toWellFormed()
  if (Array.isArray(value)) return value.map(clean)
  return typeof value === "object" && value !== null && isPlain(value)
    ? Object.fromEntries(Object.entries(value).map(([name, member]) => [name.toWellFormed(), clean(member)]))
    : value
}

/** Plain data with all its texts and names well-formed. What is not plain stays as it is. */
// Boundary: of the type checker, which cannot see that the shape stays.
export const data = <A>(value: A): A => clean(value) as never

type Chunk = Text | Thinking

const isHigh = (unit: number): boolean => unit >= 0xd800 && unit <= 0xdbff
const isLow = (unit: number): boolean => unit >= 0xdc00 && unit <= 0xdfff

export interface ChunkJoiner {
  /** The chunks to go on with, in place of this one. */
  readonly add: (chunk: Chunk) => ReadonlyArray<Chunk>
  /** What is left at the end of the turn. */
  readonly end: () => ReadonlyArray<Chunk>
}

/**
 * Makes the chunks of a turn well-formed. An agent may cut a character between two chunks: its first half is held back until
 * the next chunk of the same kind, which then has it whole.
 */
export const chunkJoiner = (): ChunkJoiner => {
  /** By kind, a chunk that has only the first half of a character. */
  const halves = new Map<Chunk["_tag"], Chunk>()

  const alone = (half: Chunk): Chunk => ({ ...half, content: replacement })

  return {
    add: (chunk) => {
      const half = halves.get(chunk._tag)
      const { length } = chunk.content
      const endsInHalf = length > 0 && isHigh(chunk.content.charCodeAt(length - 1))
      if (length === 0 || (half === undefined && !endsInHalf && chunk.content.isWellFormed())) return [chunk]
      const isSecond = half !== undefined && isLow(chunk.content.charCodeAt(0))
      const content = isSecond ? half.content + chunk.content : chunk.content
      const whole = endsInHalf ? content.slice(0, -1) : content
      if (endsInHalf) halves.set(chunk._tag, { ...chunk, content: content.slice(-1) })
      else halves.delete(chunk._tag)
      return [
        ...(half === undefined || isSecond ? [] : [alone(half)]),
        ...(whole === "" ? [] : [{ ...chunk, content: whole.toWellFormed() }])
      ]
    },
    end: () => {
      const left = Array.from(halves.values(), alone)
      halves.clear()
      return left
    }
  }
}
