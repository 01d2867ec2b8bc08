/**
 * Records what the server acknowledged to clients, over all lives of a server, to compare it with the ledger.
 */
import { readFileSync, writeFileSync } from "node:fs"
import type { Answer } from "../support/Http.ts"
import * as Ledger from "./Ledger.ts"

/** A call with an idempotency key. */
export interface Keyed {
  readonly name: string
  readonly path: string
  readonly key: string
  readonly body: Readonly<Record<string, unknown>>
  /** When it was first sent, in milliseconds. */
  readonly sent: number
}

/** A call with its response, which must be the same when it is repeated. */
export interface Answered extends Keyed, Answer {}

export interface Book {
  /** By session, the highest turn index that was acknowledged. */
  readonly open: Map<string, number>
  readonly closed: Set<string>
  /** Sessions that may be open or not, since their close was not acknowledged. */
  readonly uncertain: Set<string>
  /** How many more of them there may be: creations that the server abandoned on shutdown. */
  abandoned: number
  /** Uploaded files, and when each expires at the latest. */
  readonly uploads: Array<{ readonly token: string; readonly until: number }>
  /** Calls without a response yet: each is repeated until it has one. */
  readonly unanswered: Array<Keyed>
  answered: ReadonlyArray<Answered>
  /** How often each call was made, by name and status. */
  readonly counts: Map<string, number>
  /** The number of prompts so far, which makes each unique. */
  prompts: number
  /** Prompts that were answered, and so must have reached an agent. */
  readonly expected: Set<string>
  /** Prompts that reached an agent. */
  readonly arrived: Set<string>
}

export const make = (): Book => ({
  open: new Map(),
  closed: new Set(),
  uncertain: new Set(),
  abandoned: 0,
  uploads: [],
  unanswered: [],
  answered: [],
  counts: new Map(),
  prompts: 0,
  expected: new Set(),
  arrived: new Set()
})

/** Records the response to the creation of a session. */
export const created = (book: Book, { status, text }: Answer): void => {
  const id = /"session_id":"([^"]+)"/.exec(text)?.[1]
  if (status === 200 && id !== undefined) book.open.set(id, 0)
}

/** Records the response to a turn. */
export const turned = ({ open }: Book, id: string, { status, text }: Answer): void => {
  if (status === 410 || status === 404) open.delete(id)
  const index = Number(/"turn_index":(\d+)/.exec(text)?.[1] ?? 0)
  if (open.has(id)) open.set(id, Math.max(open.get(id) ?? 0, index))
}

/** What was acknowledged to clients but contradicts the ledger. */
export const contradictions = (book: Book, data: string): ReadonlyArray<string> => {
  const known = Ledger.sessionsIn(data)
  return [
    ...[...book.open].flatMap(([id, turns]) => {
      const session = known.get(id)
      if (session?.isOpen !== true) return [`session ${id} was acknowledged as open, but is not`]
      return session.turns < turns
        ? [`turn ${turns} of ${id} was acknowledged, but the ledger has ${session.turns}`]
        : []
    }),
    ...[...book.closed].flatMap((id) =>
      known.get(id)?.isOpen === true ? [`session ${id} was acknowledged as closed, but is open`] : []
    )
  ]
}

const unknownIn = ({ uncertain, open }: Book, data: string): ReadonlyArray<string> =>
  [...Ledger.sessionsIn(data)]
    .filter(([id, { isOpen }]) => isOpen && !open.has(id) && !uncertain.has(id))
    .map(([id]) => id)

const exceeding = (found: ReadonlyArray<string>, allowed: number): ReadonlyArray<string> =>
  found.length <= allowed
    ? []
    : [`${found.length} sessions are open that were never acknowledged; at most ${allowed} may be`]

/** Open sessions that were never acknowledged, when no creation is pending. */
export const unknownSessions = (book: Book, data: string): ReadonlyArray<string> => exceeding(unknownIn(book, data), 0)

/** The same at the beginning of a life: those of calls that the end of the previous life cut short are recorded, more are a fault. */
export const adoptUnknownSessions = (book: Book, data: string): ReadonlyArray<string> => {
  const found = unknownIn(book, data)
  const allowed = book.abandoned + book.unanswered.filter(({ path }) => path === "/sessions").length
  for (const id of found) book.uncertain.add(id)
  book.abandoned = 0
  return exceeding(found, allowed)
}

/** The text of the prompt in a message to an agent, if it is one; the text comes after the attachments. */
const promptIn = (line: string): string | undefined => {
  const { method, params } = JSON.parse(line)
  return method === "session/prompt" ? params.prompt.at(-1).text : undefined
}

/** Takes the messages that agents received since the last call; returns prompts that arrived twice, and those that were answered but never arrived. */
export const deliveryFaults = ({ arrived, expected }: Book, sent: string): ReadonlyArray<string> => {
  const prompts = readFileSync(sent, "utf8")
    .split("\n")
    // A killed agent may have left an incomplete line.
    .flatMap((line) => (line.endsWith("}") ? [promptIn(line)] : []))
    .filter((prompt) => prompt !== undefined)
  writeFileSync(sent, "")
  const twice = prompts.filter((prompt) => {
    if (arrived.has(prompt)) return true
    arrived.add(prompt)
    return false
  })
  const missing = [...expected].filter((prompt) => !arrived.has(prompt))
  expected.clear()
  return [
    ...twice.map((prompt) => `arrived twice: ${prompt}`),
    ...missing.map((prompt) => `was answered but never arrived: ${prompt}`)
  ]
}
