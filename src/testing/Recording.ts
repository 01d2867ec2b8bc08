/**
 * A recording: a file with one exchange of the wire on each line, without a secret.
 */
import { Data, Effect, Option, Predicate, Schema, Stream } from "effect"
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
  /** How it ended before its end: its reader stopped, or the connection broke. */
  cut: Schema.optionalKey(Schema.Literals(["by reader", "by connection"]))
})

export type RecordedResponse = typeof RecordedResponse.Type

export const Exchange = Schema.Struct({
  /** Its place among all, by the time of its request. */
  number: Schema.Int,
  request: RecordedRequest,
  response: Schema.Union([
    RecordedResponse,
    /** None: the connection broke, or the requester waited no longer. */
    Schema.Literals(["broken", "awaited"])
  ])
})
export type Exchange = typeof Exchange.Type

/** The first line of the file. */
export const Header = Schema.Struct({
  recording: Schema.Literal("effect-clawdforge"),
  version: Schema.Literal(1),
  /** Whether it was made with a `redact` of its author's. */
  redacted: Schema.Boolean
})

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

/** Bytes that are no text as one of their numbers, in which the text among them can be found. */
const fromBytes = (bytes: Uint8Array): string => Array.from(bytes, (byte) => String.fromCharCode(byte)).join("")

const toBytes = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0))

/** Maps every text in JSON, also the names of fields. */
const mapTexts = (json: Schema.Json, map: (text: string) => string): Schema.Json => {
  if (typeof json === "string") return map(json)
  if (typeof json !== "object" || json === null) return json
  if (Array.isArray(json)) return json.map((item) => mapTexts(item, map))
  return Object.fromEntries(Object.entries(json).map(([name, value]) => [map(name), mapTexts(value, map)]))
}

/** The JSON of a text, if it is JSON. */
const parseJson = (text: string): Schema.Json | undefined =>
  Option.getOrUndefined(Option.filter(Json.parse(text), isJson))

const dataLine = /^data: (.*)$/gm

/** The JSON of the events in a text, if they have any. */
const dataOf = (text: string): ReadonlyArray<Schema.Json> =>
  Array.from(text.matchAll(dataLine), ([, data = ""]) => parseJson(data)).filter((json) => json !== undefined)

/**
 * Bytes as a recording has them. What is redacted is what a text says, not how JSON escapes it: `"\\ncf_…"` has a token.
 */
const toBody = (bytes: Uint8Array, contentType: string, redact: (text: string) => string): Body | undefined => {
  if (bytes.byteLength === 0) return undefined
  const form = boundaryOf(contentType)
  const withBoundary = (text: string) => (form === undefined ? text : text.replaceAll(form, boundary))
  const decoded = Option.getOrUndefined(decodeText(bytes))
  if (decoded === undefined) return { bytes: toBytes(redact(withBoundary(fromBytes(bytes)))) }
  const json = contentType.includes("json") ? parseJson(decoded) : undefined
  if (json !== undefined) return { json: mapTexts(json, redact) }
  if (!contentType.includes("event-stream")) return { text: redact(withBoundary(decoded)) }
  const redactData = (line: string, data: string) => {
    const json = parseJson(data)
    return json === undefined ? redact(line) : `data: ${JSON.stringify(mapTexts(json, redact))}`
  }
  return { text: decoded.replaceAll(dataLine, redactData) }
}

/** The id of the session that an exchange is about. */
export const idsIn = ({ path }: RecordedRequest, response: Exchange["response"]): ReadonlyArray<string> => {
  const [, inPath] = /^\/sessions\/([^/?]+)/.exec(path) ?? []
  const body = typeof response === "string" ? undefined : response.body
  const created = body !== undefined && "json" in body ? body.json : undefined
  const inBody = Predicate.hasProperty(created, "session_id") ? created["session_id"] : undefined
  return [inPath, inBody].filter(Predicate.isString)
}

/** The bytes of a body. */
export const fromBody = (body: Body | undefined): Uint8Array<ArrayBuffer> => {
  if (body === undefined) return new Uint8Array()
  if ("bytes" in body) return new Uint8Array(body.bytes)
  return new TextEncoder().encode("json" in body ? JSON.stringify(body.json) : body.text)
}

/**
 * What a body says: each text, and those of one kind joined, since a text comes in pieces, between those of other kinds.
 */
export const textsOf = (
  body: Body | undefined
): { readonly texts: ReadonlyArray<string>; readonly joined: ReadonlyMap<string, string> } => {
  const texts: Array<string> = []
  const joined = new Map<string, string>()
  if (body === undefined) return { texts, joined }
  const visit = (json: Schema.Json | undefined, path: string): void => {
    if (typeof json === "string") {
      texts.push(json)
      joined.set(path, (joined.get(path) ?? "") + json)
    } else if (Array.isArray(json)) {
      for (const item of json) visit(item, path)
    } else if (typeof json === "object" && json !== null) {
      // Boundary: of the type checker, to which an array of `Json` may be an object.
      const fields = json as { readonly [name: string]: Schema.Json }
      const kind = ["type", "sessionUpdate"].map((name) => fields[name]).find((value) => typeof value === "string")
      for (const [name, value] of Object.entries(fields)) {
        texts.push(name)
        visit(value, kind === undefined ? `${path}.${name}` : `${path}.${kind}.${name}`)
      }
    }
  }
  if ("bytes" in body) texts.push(fromBytes(body.bytes))
  else if ("json" in body) visit(body.json, "")
  else {
    texts.push(body.text)
    for (const data of dataOf(body.text)) visit(data, "")
  }
  return { texts, joined }
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
  options: {
    readonly bytes: Uint8Array
    readonly cut: RecordedResponse["cut"]
    readonly redact: (text: string) => string
  }
): RecordedResponse => {
  const body = toBody(options.bytes, response.headers["content-type"] ?? "", options.redact)
  return {
    status: response.status,
    headers: pick(response.headers, responseHeaders),
    ...(body === undefined ? {} : { body }),
    ...(options.cut === undefined ? {} : { cut: options.cut })
  }
}
