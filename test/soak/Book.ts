/**
 * What clients were told, over all lives of a server, to be held against what it knows.
 */
import { readFileSync, writeFileSync } from "node:fs"
import * as Ledger from "./Ledger.ts"

/** A call with a key that has no answer yet: it is repeated until it has one. */
export interface Unanswered {
  readonly name: string
  readonly path: string
  readonly key: string
  readonly body: object
}

export interface Book {
  /** By session, the highest number of a turn that was told of. */
  readonly open: Map<string, number>
  readonly closed: Set<string>
  /** Files that were uploaded, and until when they are kept at most. */
  readonly uploads: Array<{ readonly token: string; readonly until: number }>
  readonly unanswered: Array<Unanswered>
  /** How often each thing was done, and what was answered. */
  readonly counts: Map<string, number>
  /** No two prompts are the same. */
  prompts: number
  /** What agents were sent. */
  readonly arrived: Set<string>
}

export const make = (): Book => ({
  open: new Map(),
  closed: new Set(),
  uploads: [],
  unanswered: [],
  counts: new Map(),
  prompts: 0,
  arrived: new Set()
})

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

/** A message to an agent, as far as it is a prompt. */
const promptIn = (line: string): string | undefined => {
  const { method, params } = JSON.parse(line)
  return method === "session/prompt" ? JSON.stringify(params.prompt) : undefined
}

/** Takes what the agents were sent since the last time, and gives the prompts that came twice. */
export const twice = (book: Book, sent: string): ReadonlyArray<string> => {
  const prompts = readFileSync(sent, "utf8")
    .split("\n")
    // An agent that was killed may have left half a line.
    .flatMap((line) => (line.endsWith("}") ? [promptIn(line)] : []))
    .filter((prompt) => prompt !== undefined)
  writeFileSync(sent, "")
  return prompts.filter((prompt) => {
    if (book.arrived.has(prompt)) return true
    book.arrived.add(prompt)
    return false
  })
}
