/**
 * Secrets that no text contains by chance, how to find them, and every way to print a value.
 */
import { Cause, Exit, Inspectable } from "effect"
import { inspect } from "node:util"
import type { Recorder } from "./Recorder.ts"

/** One word for each secret; what is around it in a prompt is what escaping changes. */
const words = {
  app: "Kq7vBz2mXw9pLr4tHn8sDf3gJy6c",
  admin: "Wm3xRt8kVb5nQz9hPc2jLs7fGd4y",
  file: "Tz6pNc9wKx2bMh5vRq8jFs3dLg7y",
  minted: "Bn4jHx7qZt2vWk9mCr5pSd8fLy3g",
  prompt: "Vd8mPk3zRw6tXh9bNq2cJs5fLg7y",
  system: "Hs5wCn8pTk2vZx6mBq9jRd3fLy7g",
  answer: "Jr9tXm4kWz7nPb2hVc6qSd5gLf8y",
  stderr: "Lc2qVt7xNz4wKm9pHb6jRs3dGf8y"
}

export const canaries = {
  app: `cf_${words.app}`,
  admin: `admin-${words.admin}`,
  file: `ff_${words.file}`,
  minted: `cf_${words.minted}`,
  prompt: `Say "${words.prompt}" & <b>${words.prompt}</b>:\n\t'é', 日本, \\ and ${"more of it, ".repeat(20)}`,
  system: `Be "${words.system}" & <i>brief</i>\nü`,
  answer: `It is "${words.answer}"`,
  stderr: `panic: ${words.stderr}\n    at main`
}

/** The length of a piece that counts as a leak. */
const piece = 8

const pieces = new Map(
  Object.entries(words).flatMap(([name, word]) =>
    Array.from({ length: word.length - piece + 1 }, (_, at) => [word.slice(at, at + piece), name] as const)
  )
)

/** The secrets of which a text holds a piece. */
export const leaks = (text: string): ReadonlyArray<string> => {
  const found = new Set<string>()
  for (const [run] of text.matchAll(/[A-Za-z0-9]{8,}/g)) {
    for (let at = 0; at + piece <= run.length; at++) {
      const name = pieces.get(run.slice(at, at + piece))
      if (name !== undefined) found.add(name)
    }
  }
  return [...found]
}

const attempt = (print: () => string): string => {
  try {
    return print()
  } catch (error) {
    return String(error)
  }
}

const isObject = (value: unknown): value is object =>
  (typeof value === "object" && value !== null) || typeof value === "function"

/** Every string that can be reached from a value: own and inherited properties, symbols, getters, keys and entries. */
const reachable = (value: unknown, seen: Set<unknown> = new Set(), found: Array<string> = []): Array<string> => {
  if (typeof value === "string") found.push(value)
  if (!isObject(value) || seen.has(value) || seen.size > 5000) return found
  seen.add(value)
  if (value instanceof Map || value instanceof Set) for (const entry of value) reachable(entry, seen, found)
  for (let at: object | null = value; at !== null && at !== Object.prototype && at !== Function.prototype;) {
    for (const key of Reflect.ownKeys(at)) {
      if (key === "constructor") continue
      found.push(String(key))
      attempt(() => {
        reachable(Reflect.get(at ?? {}, key, value), seen, found)
        return ""
      })
    }
    at = Object.getPrototypeOf(at)
  }
  return found
}

/** A value in every form that a program may print it in. */
export const prints = (value: unknown): string =>
  [
    attempt(() => String(value)),
    attempt(() => JSON.stringify(value)),
    attempt(() => inspect(value)),
    attempt(() => inspect(value, { showHidden: true, depth: Infinity, getters: true, colors: true })),
    attempt(() => inspect(value, { showHidden: true, depth: Infinity, customInspect: false })),
    attempt(() => inspect({ ...(value as object) }, { depth: Infinity })),
    attempt(() => inspect(structuredClone(value), { depth: Infinity })),
    attempt(() => Inspectable.toStringUnknown(value)),
    attempt(() => (value instanceof Error ? `${value.message} ${value.stack}` : "")),
    ...reachable(value)
  ].join("\n")

/** What a program that failed prints of its cause. */
export const printsOfCause = (cause: Cause.Cause<unknown>): string =>
  [
    Cause.pretty(cause),
    prints(cause),
    ...cause.reasons.map((reason) => prints(Cause.squash(Cause.fromReasons([reason]))))
  ].join("\n")

/** Everything in spans except the results of their work. */
export const printsOfSpans = (spans: Recorder["spans"]): string =>
  spans
    .map(({ attributes, events, kind, links, name, status }) =>
      [
        name,
        kind,
        inspect([...attributes], { depth: Infinity }),
        inspect(events, { depth: Infinity }),
        inspect(links.map(({ attributes, span }) => [attributes, span.spanId])),
        status._tag === "Ended" && Exit.isFailure(status.exit) ? printsOfCause(status.exit.cause) : ""
      ].join("\n")
    )
    .join("\n")
