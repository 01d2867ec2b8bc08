/**
 * A server with sessions of the demo agent, used with raw HTTP over persistent connections.
 */
import { Effect } from "effect"
import { Agent, request } from "node:http"
import * as Served from "../conformance/Served.ts"
import { newAdminToken } from "../conformance/Server.ts"

/** Receives the response text so far, whenever it grows. */
type OnText = (text: string) => void

const call = (agent: Agent, url: string, token: string, body: object, accept: string, onText?: OnText) =>
  new Promise<string>((resolve, reject) => {
    const sent = request(url, {
      agent,
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json", accept }
    })
    sent.on("error", reject)
    sent.on("response", (response) => {
      let text = ""
      response.setEncoding("utf8")
      response.on("data", (chunk: string) => {
        text += chunk
        onText?.(text)
      })
      response.on("error", reject)
      response.on("end", () => (response.statusCode === 200 ? resolve(text) : reject(new Error(text))))
    })
    sent.end(JSON.stringify(body))
  })

/** Starts a server. */
export const serve = Effect.gen(function* () {
  const home = yield* Served.home
  const served = yield* Served.serve({ home, adminToken: newAdminToken(), flags: [] })
  const agent = yield* Effect.acquireRelease(
    Effect.sync(() => new Agent({ keepAlive: true })),
    (agent) => Effect.sync(() => agent.destroy())
  )
  const post = (token: string, path: string, body: object, accept = "application/json", onText?: OnText) =>
    Effect.promise(() => call(agent, served.url + path, token, body, accept, onText))
  const { token } = JSON.parse(yield* post(served.adminToken, "/admin/tokens", { name: "bench" }))
  const open = Effect.gen(function* () {
    const { session_id: id } = JSON.parse(yield* post(token, "/sessions", { agent: "demo" }))
    const path = `/sessions/${id}/turn`
    return {
      turn: (prompt: string) => post(token, path, { prompt }),
      stream: (prompt: string, onText: OnText) => post(token, path, { prompt }, "text/event-stream", onText)
    }
  })
  return { served, open }
})
