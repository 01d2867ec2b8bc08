/**
 * What clients were told, over all lives of a server, to be held against what it knows.
 */
import { readFileSync, writeFileSync } from "node:fs"
import type { Answer } from "./Http.ts"
import * as Ledger from "./Ledger.ts"

/** A call with a key. */
export interface Keyed {
  readonly name: string
  readonly path: string
  readonly key: string
  readonly body: Readonly<Record<string, unknown>>
  /** When it was sent first, in milliseconds. */
  readonly sent: number
}

/** One that must be answered the same again. */
export interface Answered extends Keyed, Answer {}

export interface Book {
  /** By session, the highest number of a turn that was told of. */
  readonly open: Map<string, number>
  readonly closed: Set<string>
  /** Sessions that may be open or not: nobody was told what became of them. */
  readonly adrift: Set<string>
  /** How many more of them there may be: creations that the server gave up when it was told to end. */
  givenUp: number
  /** Files that were uploaded, and until when they are kept at most. */
  readonly uploads: Array<{ readonly token: string; readonly until: number }>
  /** Calls that have no answer yet: each is repeated until it has one. */
  readonly unanswered: Array<Keyed>
  answered: ReadonlyArray<Answered>
  /** How often each thing was done, and what was answered. */
  readonly counts: Map<string, number>
  /** No two prompts are the same. */
  prompts: number
  /** What was answered, so that it must have arrived at an agent. */
  readonly due: Set<string>
  /** What agents were sent. */
  readonly arrived: Set<string>
}

export const make = (): Book => ({
  open: new Map(),
  closed: new Set(),
  adrift: new Set(),
  givenUp: 0,
  uploads: [],
  unanswered: [],
  answered: [],
  counts: new Map(),
  prompts: 0,
  due: new Set(),
  arrived: new Set()
})

/** What was answered to the creation of a session. */
export const created = (book: Book, { status, text }: Answer): void => {
  const id = /"session_id":"([^"]+)"/.exec(text)?.[1]
  if (status === 200 && id !== undefined) book.open.set(id, 0)
}

/** What was answered to a turn. */
export const turned = ({ open }: Book, id: string, { status, text }: Answer): void => {
  if (status === 410 || status === 404) open.delete(id)
  const index = Number(/"turn_index":(\d+)/.exec(text)?.[1] ?? 0)
  if (open.has(id)) open.set(id, Math.max(open.get(id) ?? 0, index))
}

/** What clients were told and the ledger does not know. */
export const contradictions = (book: Book, data: string): ReadonlyArray<string> => {
  const known = Ledger.sessionsIn(data)
  return [
    ...[...book.open].flatMap(([id, turns]) => {
      const session = known.get(id)
      if (session?.isOpen !== true) return [`session ${id} was told to be open, and is not`]
      return session.turns < turns ? [`turn ${turns} of ${id} was told, but the ledger has ${session.turns}`] : []
    }),
    ...[...book.closed].flatMap((id) =>
      known.get(id)?.isOpen === true ? [`session ${id} was told to be closed, and is open`] : []
    )
  ]
}

const strangersIn = ({ adrift, open }: Book, data: string): ReadonlyArray<string> =>
  [...Ledger.sessionsIn(data)]
    .filter(([id, { isOpen }]) => isOpen && !open.has(id) && !adrift.has(id))
    .map(([id]) => id)

const tooMany = (found: ReadonlyArray<string>, accounted: number): ReadonlyArray<string> =>
  found.length <= accounted
    ? []
    : [`${found.length} sessions are open that nobody was told of, of ${accounted} that may be`]

/** Sessions that are open, and that nobody was told of, while nobody waits for one. */
export const strangers = (book: Book, data: string): ReadonlyArray<string> => tooMany(strangersIn(book, data), 0)

/** Those at the beginning of a life, of the calls that the end of the last one cut short; more is a fault. */
export const takeStrangers = (book: Book, data: string): ReadonlyArray<string> => {
  const found = strangersIn(book, data)
  const accounted = book.givenUp + book.unanswered.filter(({ path }) => path === "/sessions").length
  for (const id of found) book.adrift.add(id)
  book.givenUp = 0
  return tooMany(found, accounted)
}

/** A message to an agent, as far as it is a prompt: its text, which comes after what is attached. */
const promptIn = (line: string): string | undefined => {
  const { method, params } = JSON.parse(line)
  return method === "session/prompt" ? params.prompt.at(-1).text : undefined
}

/** Takes what the agents were sent since the last time, and tells what came twice, and what was answered and never came. */
export const misdirected = ({ arrived, due }: Book, sent: string): ReadonlyArray<string> => {
  const prompts = readFileSync(sent, "utf8")
    .split("\n")
    // An agent that was killed may have left half a line.
    .flatMap((line) => (line.endsWith("}") ? [promptIn(line)] : []))
    .filter((prompt) => prompt !== undefined)
  writeFileSync(sent, "")
  const twice = prompts.filter((prompt) => {
    if (arrived.has(prompt)) return true
    arrived.add(prompt)
    return false
  })
  const missing = [...due].filter((prompt) => !arrived.has(prompt))
  due.clear()
  return [
    ...twice.map((prompt) => `came twice: ${prompt}`),
    ...missing.map((prompt) => `was answered and never came: ${prompt}`)
  ]
}
