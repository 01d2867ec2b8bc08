/**
 * Raw requests on connections of their own, so that nothing of them is left once they are over.
 */
import { Data, Effect } from "effect"
import { request } from "node:http"

export interface Answer {
  readonly status: number
  readonly text: string
}

export interface Call {
  /** A text as it is, anything else as JSON. */
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>> | undefined
}

/** The connection was lost before the answer was whole. */
export class Lost extends Data.TaggedError("Lost")<{ readonly cause: unknown }> {}

/** Longer than all that is asked for may take: a turn has two minutes, and others before it. */
const deadline = "180 seconds"

/** One request; interrupting it drops its connection. */
export const call = (
  url: string,
  token: string,
  method: string,
  path: string,
  { body, headers }: Call = {}
): Effect.Effect<Answer, Lost> =>
  Effect.callback<Answer, Lost>((resume) => {
    const sent = request(url + path, {
      method,
      agent: false,
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json", ...headers }
    })
    const lose = (cause: unknown) => resume(Effect.fail(new Lost({ cause })))
    sent.on("error", lose)
    sent.on("response", (response) => {
      let text = ""
      response.setEncoding("utf8")
      response.on("data", (chunk: string) => (text += chunk))
      response.on("error", lose)
      response.on("end", () => resume(Effect.succeed({ status: response.statusCode ?? 0, text })))
    })
    sent.end(body === undefined || typeof body === "string" ? body : JSON.stringify(body))
    return Effect.sync(() => sent.destroy())
  }).pipe(
    Effect.timeoutOrElse({
      duration: deadline,
      orElse: () => Effect.die(new Error(`${method} ${path} was not answered within ${deadline}`))
    })
  )
