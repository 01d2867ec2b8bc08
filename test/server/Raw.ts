/**
 * Bytes as they are, to a server.
 */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { connect } from "node:net"

export const of = (url: string) => {
  const { port } = new URL(url)
  /** Sends bytes, and gives all that comes back until the server closes the connection or has answered. */
  const send = (bytes: string) =>
    Effect.callback<string>((resume) => {
      let text = ""
      const socket = connect(Number(port), "127.0.0.1", () => socket.write(bytes, "latin1"))
      socket.on("data", (chunk) => {
        text += chunk.toString("latin1")
        const [head = "", body = ""] = text.split("\r\n\r\n", 2)
        const length = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? Number.NaN)
        if (body.length >= length) socket.destroy()
      })
      socket.on("close", () => resume(Effect.succeed(text)))
      socket.on("error", () => {})
      return Effect.sync(() => socket.destroy())
    })
  /** One request with nothing added to it; gives the status and the body. */
  const ask = (line: string, ...headers: ReadonlyArray<string>) =>
    Effect.map(send([line, ...headers, "", ""].join("\r\n")), (answer) => {
      const [head = "", body = ""] = answer.split("\r\n\r\n", 2)
      assert.match(head, /^x-request-id: [A-Za-z0-9._-]{1,128}$/im, line)
      return [Number(head.split(" ")[1]), body] as const
    })
  return { send, ask }
}
