/**
 * The requests of a client to a scripted server, by method and path.
 */
import { Effect } from "effect"
import { type Answer, type Script, ScriptedServer } from "./ScriptedServer.ts"

/** The requests so far, one line per request: method, path, and the body, where there is one, exactly as it came. */
export const conversation = ScriptedServer.useSync(({ received }) =>
  received.map(({ body, method, path }) => `${method} ${path} ${body}`.trim())
)

/**
 * Answers by method and path: `{"POST /sessions": …}`. Of several answers each is given once, and the last from then on.
 * Any other request gets a 418, which no test expects.
 */
export const answers = (table: Readonly<Record<string, Answer | ReadonlyArray<Answer>>>): Script => {
  const asked = new Map<string, number>()
  return ({ method, path }) => {
    const call = `${method} ${path}`
    const nth = asked.get(call) ?? 0
    asked.set(call, nth + 1)
    const known = Object.hasOwn(table, call) ? table[call] : undefined
    if (known === undefined) return { status: 418, text: `unexpected ${call}` }
    if (!Array.isArray(known)) return known as Answer
    return known[Math.min(nth, known.length - 1)]
  }
}

/** Runs an effect that fails, and returns its error and the requests so far. */
export const failing = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.all({ error: Effect.flip(effect), sent: conversation })
