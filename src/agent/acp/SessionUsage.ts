/**
 * What each turn of a session used, from what its agent reports.
 *
 * Agents report a turn's tokens in the `usage` of its answer, in the answer's `_meta.quota.token_count` (Gemini), or in the
 * `_meta.usage` of chunks, one for each request to the model (Qwen). Some count their whole session: then a turn used the
 * increase since the turn before, which is not known of the first one after a restore. The numbers alone do not show that,
 * because a turn's input grows with its history, so it goes by the agent's name.
 */
import { Predicate } from "effect"
import type { TurnEvent } from "../../wire/TurnEvent.ts"
import type { Usage } from "../../wire/Usage.ts"

type Tokens = Omit<Usage, "costUsd">
type Fields = Readonly<Record<string, unknown>>

/** Agents that count the tokens of their whole session, by the name that they give at `initialize`. */
const sessionCounters: ReadonlySet<string> = new Set(["copilot"])

/** Whether an agent of this name counts the tokens of its whole session. */
export const countsSession = (name: unknown): boolean =>
  typeof name === "string" && sessionCounters.has(name.toLowerCase())

const fieldsOf = (value: unknown): Fields => (Predicate.isObject(value) ? { ...value } : {})

/** The first of these fields that is a count. */
const countIn = (fields: Fields, ...names: ReadonlyArray<string>): number | undefined =>
  names
    .map((name) => fields[name])
    .find((value): value is number => typeof value === "number" && Number.isSafeInteger(value) && value >= 0)

const tokenNames = ["inputTokens", "outputTokens", "cachedTokens", "totalTokens"] as const

/** Each token count that `countOf` has; undefined where it has none, or only zeros: a turn cannot use nothing. */
const tokens = (countOf: (name: (typeof tokenNames)[number]) => number | undefined): Tokens | undefined => {
  const counts = tokenNames.flatMap((name) => {
    const count = countOf(name)
    return count === undefined ? [] : [[name, count] as const]
  })
  return counts.some(([, count]) => count > 0) ? Object.fromEntries(counts) : undefined
}

/** The tokens that an object names, in any of the spellings that agents use. */
const tokensOf = (usage: unknown): Tokens | undefined => {
  const fields = fieldsOf(usage)
  const counts: Tokens = {
    inputTokens: countIn(fields, "inputTokens", "input_tokens"),
    outputTokens: countIn(fields, "outputTokens", "output_tokens"),
    cachedTokens: countIn(fields, "cachedReadTokens", "cachedInputTokens", "cached_tokens"),
    totalTokens: countIn(fields, "totalTokens", "total_tokens")
  }
  return tokens((name) => counts[name])
}

/** The tokens in the answer to a prompt. */
const tokensOfAnswer = (answer: Fields): Tokens | undefined => {
  const meta = fieldsOf(answer["_meta"])
  return tokensOf(answer["usage"]) ?? tokensOf(fieldsOf(meta["quota"])["token_count"]) ?? tokensOf(meta["usage"])
}

const sum = (a: Tokens, b: Tokens): Tokens | undefined =>
  tokens((name) => (a[name] === undefined ? b[name] : a[name] + (b[name] ?? 0)))

/** What was used since `before`; undefined where a count went down, since it began anew. */
const difference = (total: Tokens, before: Tokens): Tokens | undefined => {
  if (tokenNames.some((name) => (total[name] ?? 0) < (before[name] ?? 0))) return undefined
  return tokens((name) => (total[name] === undefined ? undefined : total[name] - (before[name] ?? 0)))
}

/** What one turn used so far, as its agent reports it. */
interface TurnReports {
  readonly costBefore: number | undefined
  /** What the session has cost by then. */
  cost: number | undefined
  readonly totalBefore: Tokens | undefined
  /** The sum of what its chunks report. */
  chunks: Tokens
}

export interface SessionUsage {
  /** The session is open. What one that was restored used before is not known. */
  readonly opened: (session: { readonly loaded: boolean; readonly countsSession: boolean }) => void
  /** A turn begins. */
  readonly begin: () => void
  /** The agent sent an update in the turn, which became this event. */
  readonly report: (update: unknown, event: TurnEvent) => void
  /** What the turn used by its answer, as far as it is known. */
  readonly end: (answer: Fields) => Usage | undefined
}

export const make = (): SessionUsage => {
  let countsSession = false
  /** The session's total cost in US dollars; unknown after it has been restored, until the agent reports it. */
  let cost: number | undefined
  /** The session's tokens at the end of the last turn; unknown after a restore, or a turn whose end did not report them. */
  let total: Tokens | undefined
  let turn: TurnReports = { costBefore: undefined, cost: undefined, totalBefore: undefined, chunks: {} }

  const turnTokens = (answer: Fields): Tokens | undefined => {
    const reported = tokensOfAnswer(answer)
    if (!countsSession) return reported ?? tokens((name) => turn.chunks[name])
    total = reported
    return reported === undefined || turn.totalBefore === undefined ? undefined : difference(reported, turn.totalBefore)
  }

  const turnCost = (): number | undefined => {
    if (turn.cost === undefined || turn.costBefore === undefined) return undefined
    return turn.cost < turn.costBefore ? undefined : turn.cost - turn.costBefore
  }

  return {
    opened: (session) => {
      countsSession = session.countsSession
      cost = session.loaded ? undefined : 0
      total = session.loaded ? undefined : {}
    },
    begin: () => {
      turn = { costBefore: cost, cost: undefined, totalBefore: total, chunks: {} }
      total = undefined
    },
    report: (update, event) => {
      if (event._tag === "Usage" && event.cost?.currency === "USD" && event.cost.amount >= 0) {
        cost = event.cost.amount
        turn.cost = cost
      }
      if (event._tag !== "Text" && event._tag !== "Thinking") return
      const reported = tokensOf(fieldsOf(fieldsOf(update)["_meta"])["usage"])
      if (reported !== undefined) turn.chunks = sum(turn.chunks, reported) ?? turn.chunks
    },
    end: (answer) => {
      const used = turnTokens(answer)
      const costUsd = turnCost()
      return costUsd === undefined ? used : { ...used, costUsd }
    }
  }
}
