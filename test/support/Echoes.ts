/**
 * Answers that repeat the request, and answers that hold the agent's output.
 */
import { canaries } from "./Canaries.ts"
import type { Answer, Received } from "./ScriptedServer.ts"

const html = (text: string) =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;")

const ascii = (text: string) =>
  text.replaceAll(/[^\u0000-\u007f]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`)

/** The request as text: its line, its headers, its body. */
const whole = ({ body, headers, method, path }: Received) =>
  `${method} ${path}\n${Object.entries(headers)
    .map(([name, value]) => `${name}: ${String(value)}`)
    .join("\n")}\n\n${body}`

const promptOf = ({ body }: Received): string => {
  const json: unknown = body.startsWith("{") ? JSON.parse(body) : {}
  return typeof json === "object" && json !== null && "prompt" in json ? String(json.prompt) : body
}

/** What is repeated of a request, and how it is written. */
export const echoes: ReadonlyArray<(request: Received) => string> = [
  whole,
  (request) => request.headers.authorization ?? "",
  ({ body }) => body,
  ({ body }) => ascii(body),
  ({ body }) => JSON.stringify(body),
  promptOf,
  (request) => `bad prompt: ${promptOf(request).slice(0, 60)}…`,
  (request) => `bad prompt: …${promptOf(request).slice(20, 90)}`,
  (request) => html(whole(request)),
  (request) => html(promptOf(request)),
  (request) => `${"filler ".repeat(20)}${whole(request)}`,
  (request) => whole(request).repeat(20)
]

const { stderr } = canaries
const json = (body: unknown) => ({ text: JSON.stringify(body), type: "application/json" })
const page = (text: string) => ({ text, type: "text/html" })

/** Where in a body that stands. */
export const shapes: Readonly<
  Record<string, (echo: string) => { readonly text: string | Uint8Array; readonly type: string }>
> = {
  "a sentence": (echo) => json({ detail: echo }),
  "a list": (echo) =>
    json({ detail: [{ loc: ["body", echo, 0], msg: echo, type: echo, input: echo, ctx: { error: echo }, url: echo }] }),
  "an object": (echo) => json({ detail: { message: echo, msg: echo, error: echo } }),
  "a failed run": (echo) =>
    json({ ok: false, error: echo, stderr: `${stderr}\n${echo}`, duration_ms: 1, stop_reason: echo }),
  "another object": (echo) => json({ [echo]: echo, message: { text: echo } }),
  "an array": (echo) => json([echo, [echo]]),
  "a string": (echo) => json(echo),
  "a title": (echo) => page(`<html><head><title>${echo}</title></head><body>no</body></html>`),
  "a page": (echo) => page(`<html><style>p {}</style><body><p>${echo}</p></body></html>`),
  "plain text": (echo) => ({ text: echo, type: "text/plain" }),
  "truncated JSON": (echo) => ({ ...json({ detail: echo }), text: JSON.stringify({ detail: echo }).slice(0, -20) }),
  "another charset": (echo) => ({ text: Buffer.from(echo, "utf16le"), type: "application/json; charset=utf-16le" })
}

/** Headers that repeat a token, and that a client looks at. */
const headers = (request: Received) => {
  const token = (request.headers.authorization ?? "").replace("Bearer ", "")
  return {
    "x-request-id": token,
    location: `/${token}`,
    "retry-after": token,
    "www-authenticate": `Bearer realm="${token}"`,
    "set-cookie": `token=${token}`
  }
}

/** An answer of one status, shape and echo. */
export const echo =
  (
    status: number,
    shape: (echo: string) => { readonly text: string | Uint8Array; readonly type: string },
    echo: (request: Received) => string
  ) =>
  (request: Received): Answer => {
    const { text, type } = shape(echo(request))
    return { status, text, headers: { ...headers(request), "content-type": type } }
  }

const { answer } = canaries

/** Answers that are none of the contract, with what an agent said in them. */
export const malformed: Readonly<Record<string, (request: Received) => Answer>> = {
  "no JSON": () => ({ text: `{"text": ${answer}` }),
  "a string": () => ({ json: answer }),
  "a list": () => ({ json: [answer] }),
  "another object": () => ({ json: { [answer]: answer } }),
  "other kinds": () => ({
    json: {
      ok: answer,
      session_id: { [answer]: answer },
      turn_index: answer,
      events: { text: answer },
      result: answer,
      duration_ms: answer,
      stop_reason: [answer],
      sessions: [{ session_id: answer }],
      tokens: [answer],
      token: [answer],
      file_token: answer
    }
  }),
  "a bad session id": () => ({ json: { ok: true, session_id: answer, agent: answer, created_at: 1, cwd: answer } }),
  "too deep": () => ({ text: `${"[".repeat(20)}"${answer}"` }),
  nothing: () => ({ text: "" }),
  "a redirect": (request) => ({ status: 307, headers: headers(request), text: answer }),
  "cut short": () => ({ text: `{"ok":true,"text":"${answer}`, cut: true }),
  "a reset": () => "reset"
}
