/**
 * Raw requests on connections of their own, so that nothing of them is left once they are over.
 */
import { Effect } from "effect"
import { request } from "node:http"

export interface Answer {
  readonly status: number
  readonly text: string
}

export interface Call {
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>> | undefined
}

/** One request; interrupting it drops its connection. It fails where the connection is lost. */
export const call = (
  url: string,
  token: string,
  method: string,
  path: string,
  { body, headers }: Call = {}
): Effect.Effect<Answer, Error> =>
  Effect.callback((resume) => {
    const sent = request(url + path, {
      method,
      agent: false,
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json", ...headers }
    })
    sent.on("error", (error) => resume(Effect.fail(error)))
    sent.on("response", (response) => {
      let text = ""
      response.setEncoding("utf8")
      response.on("data", (chunk: string) => (text += chunk))
      response.on("error", (error) => resume(Effect.fail(error)))
      response.on("end", () => resume(Effect.succeed({ status: response.statusCode ?? 0, text })))
    })
    sent.end(body === undefined ? undefined : JSON.stringify(body))
    return Effect.sync(() => sent.destroy())
  })
