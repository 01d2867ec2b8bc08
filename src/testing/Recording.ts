/**
 * A recording: a file with one exchange of the wire on each line, without a secret.
 */
import { Data, Effect, Option, Schema, Stream } from "effect"
import type { HttpClientRequest } from "effect/http"
import * as Json from "./Json.ts"
import * as ResponseBody from "./ResponseBody.ts"

/** A body: JSON, other text, or bytes, which are in Base64. */
const Body = Schema.Union([
  Schema.Struct({ json: Schema.Json }),
  Schema.Struct({ text: Schema.String }),
  Schema.Struct({ bytes: Schema.Uint8ArrayFromBase64 })
])
export type Body = typeof Body.Type

const RecordedRequest = Schema.Struct({
  method: Schema.String,
  /** With the query. */
  path: Schema.String,
  /** Those by which requests differ; none that differs by nature. */
  headers: Schema.Record(Schema.String, Schema.String),
  body: Schema.optionalKey(Body)
})
export type RecordedRequest = typeof RecordedRequest.Type

const RecordedResponse = Schema.Struct({
  status: Schema.Int,
  headers: Schema.Record(Schema.String, Schema.String),
  body: Schema.optionalKey(Body),
  /** Whether its reader stopped before its end. */
  unfinished: Schema.optionalKey(Schema.Boolean)
})

export const Exchange = Schema.Struct({
  /** Its place among all, by the time of its request. */
  number: Schema.Int,
  request: RecordedRequest,
  /** Left out where there was none, since the connection broke. */
  response: Schema.optionalKey(RecordedResponse)
})
export type Exchange = typeof Exchange.Type

/** The first line of the file. */
export const Header = Schema.Struct({ recording: Schema.Literal("effect-clawdforge"), version: Schema.Literal(1) })

export const header: typeof Header.Type = { recording: "effect-clawdforge", version: 1 }

/** A recording cannot be made or played. */
export class RecordingError extends Data.TaggedError("RecordingError")<{
  /** One sentence. */
  readonly message: string
}> {}

/** The headers of a request that are recorded; the rest is secret, or differs by nature. */
const requestHeaders = ["accept", "content-type", "last-event-id"]

/** The headers of a response that are recorded. */
const responseHeaders = ["content-type", "retry-after"]

/** The boundary of a form differs from request to request. */
const boundaryPattern = /boundary="?([^";]+)"?/

const boundaryOf = (contentType: string): string | undefined => boundaryPattern.exec(contentType)?.[1]

const boundary = "----boundary"

const decodeText = Option.liftThrowable((bytes: Uint8Array) => new TextDecoder("utf-8", { fatal: true }).decode(bytes))

const isJson = Schema.is(Schema.Json)

/** Bytes as a recording has them. */
const toBody = (bytes: Uint8Array, contentType: string, redact: (text: string) => string): Body | undefined => {
  if (bytes.byteLength === 0) return undefined
  const decoded = Option.getOrUndefined(decodeText(bytes))
  if (decoded === undefined) return { bytes }
  const form = boundaryOf(contentType)
  const text = redact(form === undefined ? decoded : decoded.replaceAll(form, boundary))
  const json = contentType.includes("json") ? Json.parse(text) : Option.none()
  return Option.match(Option.filter(json, isJson), { onNone: () => ({ text }), onSome: (json) => ({ json }) })
}

/** The bytes of a body. */
export const fromBody = (body: Body | undefined): Uint8Array<ArrayBuffer> => {
  if (body === undefined) return new Uint8Array()
  if ("bytes" in body) return new Uint8Array(body.bytes)
  return new TextEncoder().encode("json" in body ? JSON.stringify(body.json) : body.text)
}

/** Some headers, by their names; of a content type without its boundary. */
const pick = (headers: Readonly<Record<string, string>>, names: ReadonlyArray<string>): Record<string, string> =>
  Object.fromEntries(
    names.flatMap((name) => {
      const value = headers[name]
      return value === undefined ? [] : [[name, value.replace(boundaryPattern, `boundary=${boundary}`)]]
    })
  )

/** A request as a recording has it, and its body, which is read for that. */
export const fromRequest = Effect.fnUntraced(function* (
  request: HttpClientRequest.HttpClientRequest,
  path: string,
  redact: (text: string) => string
) {
  const { body: sent } = request
  const bytes =
    sent._tag === "Uint8Array"
      ? sent.body
      : sent._tag === "Stream"
        ? ResponseBody.concat(yield* Stream.runCollect(Stream.orDie(sent.stream)))
        : new Uint8Array()
  const contentType = request.headers["content-type"] ?? (sent._tag === "Empty" ? "" : (sent.contentType ?? ""))
  const body = toBody(bytes, contentType, redact)
  const recorded: RecordedRequest = {
    method: request.method,
    path: redact(path),
    headers: pick({ ...request.headers, "content-type": contentType }, requestHeaders),
    ...(body === undefined ? {} : { body })
  }
  return { bytes, contentType, recorded }
})

/** A response as a recording has it. */
export const fromResponse = (
  response: { readonly status: number; readonly headers: Readonly<Record<string, string>> },
  options: { readonly bytes: Uint8Array; readonly isWhole: boolean; readonly redact: (text: string) => string }
): typeof RecordedResponse.Type => {
  const body = toBody(options.bytes, response.headers["content-type"] ?? "", options.redact)
  return {
    status: response.status,
    headers: pick(response.headers, responseHeaders),
    ...(body === undefined ? {} : { body }),
    ...(options.isWhole ? {} : { unfinished: true })
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Secrets
// ---------------------------------------------------------------------------------------------------------------------

const token = /\b(cf|ff)_[A-Za-z0-9_-]{16,128}/g

/** Replaces the tokens of the contract, each by the same placeholder wherever it stands. */
export const makeRedact = () => {
  const placeholders = new Map<string, string>()
  return (text: string): string =>
    text.replaceAll(token, (found, kind: string) => {
      const known = placeholders.get(found)
      if (known !== undefined) return known
      const placeholder = `${kind}_recorded-${String(placeholders.size + 1).padStart(12, "0")}`
      placeholders.set(found, placeholder)
      return placeholder
    })
}

/** What secrets look like, and what to call them. */
const secrets: ReadonlyArray<readonly [string, RegExp]> = [
  ["a token of a clawdforge server", /\b(cf|ff)_(?!recorded-\d{12}\b)[A-Za-z0-9_-]{16,}/],
  ["a bearer token", /\bBearer [A-Za-z0-9._~+/-]{8,}/],
  ["an API key", /\b(sk|pk|rk)-[A-Za-z0-9_-]{16,}/],
  ["a token of GitHub", /\b(gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,})/],
  ["a token of Slack", /\bxox[abeoprs]-[A-Za-z0-9-]{10,}/],
  ["an access key of AWS", /\b(AKIA|ASIA)[A-Z0-9]{16}\b/],
  ["an API key of Google", /\bAIza[A-Za-z0-9_-]{35}/],
  ["a JSON Web Token", /\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\./],
  ["a private key", /-----BEGIN [A-Z ]*PRIVATE KEY-----/]
]

/** What the events of a stream say together: a secret may be in pieces in them. */
const said = ({ response }: Exchange): string => {
  const { body } = response ?? {}
  if (body === undefined || !("text" in body)) return ""
  const contents = body.text.matchAll(/^data: \{.*?"content":"((?:[^"\\]|\\.)*)"/gm)
  return Array.from(contents, ([, content = ""]) => content).join("")
}

/** What in an exchange, or in its line of the file, looks like a secret; undefined if nothing does. */
export const secretIn = (exchange: Exchange, line: string, known: ReadonlyArray<string>): string | undefined => {
  const texts = [line, said(exchange)]
  return known.some((secret) => secret !== "" && texts.some((text) => text.includes(secret)))
    ? "the client's own token"
    : secrets.find(([, pattern]) => texts.some((text) => pattern.test(text)))?.[0]
}
