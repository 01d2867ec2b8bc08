/**
 * Raw HTTP requests, each on its own connection, so that none stays open afterwards.
 */
import { Data, Effect } from "effect"
import { request } from "node:http"

export interface Answer {
  readonly status: number
  readonly text: string
}

export interface Call {
  /** A string is sent as it is, anything else as JSON. */
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>> | undefined
}

/** The connection was lost before the response was complete. */
export class Lost extends Data.TaggedError("Lost")<{ readonly cause: unknown }> {}

/** Longer than any call may take: a turn has two minutes, and may wait for others before it. */
const deadline = "180 seconds"

/** Sends one request; interrupting it closes the connection. */
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
