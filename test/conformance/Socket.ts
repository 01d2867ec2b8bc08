/**
 * Bytes as they are, over a connection of their own.
 */
import { Effect } from "effect"
import { strict as assert } from "node:assert"
import { connect } from "node:net"
import type { Answer } from "./Server.ts"

/**
 * Writes the parts, each after the first when something came back for the one before it, and gives all that came back
 * until the server closed the connection.
 */
export const exchange = (url: string, ...parts: ReadonlyArray<string>): Effect.Effect<string> =>
  Effect.callback<string>((resume) => {
    const { hostname, port } = new URL(url)
    const left = [...parts]
    let text = ""
    const write = () => {
      const next = left.shift()
      if (next !== undefined) socket.write(next)
    }
    const socket = connect(Number(port === "" ? 80 : port), hostname, write)
    socket.on("data", (chunk) => {
      text += chunk.toString("utf8")
      write()
    })
    socket.on("error", () => {})
    socket.on("close", () => resume(Effect.succeed(text)))
    return Effect.sync(() => socket.destroy())
  })

/** The text of a body that came in chunks. */
const unchunked = (body: string): string => {
  const [, size = "0", rest = ""] = /^([0-9a-f]+)\r\n([^]*)$/i.exec(body) ?? []
  const bytes = Buffer.from(rest)
  const length = Number.parseInt(size, 16)
  return length === 0 ? "" : bytes.subarray(0, length).toString() + unchunked(bytes.subarray(length + 2).toString())
}

/** The last answer of an exchange. */
export const answerOf = (text: string): Answer => {
  const start = text.lastIndexOf("HTTP/1.1 ")
  assert(start >= 0, `no answer: ${text}`)
  const [head = "", ...body] = text.slice(start).split("\r\n\r\n")
  const [line = "", ...lines] = head.split("\r\n")
  const headers = Object.fromEntries(
    lines.map((header) => {
      const colon = header.indexOf(":")
      return [header.slice(0, colon).toLowerCase(), header.slice(colon + 1).trim()]
    })
  )
  const content = body.join("\r\n\r\n")
  return {
    status: Number(line.split(" ")[1]),
    headers,
    text: headers["transfer-encoding"] === "chunked" ? unchunked(content) : content
  }
}
