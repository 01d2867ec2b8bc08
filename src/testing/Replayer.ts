/**
 * Plays a recording in place of a server.
 */
import { Effect, FileSystem, Layer, Schema, Stream } from "effect"
import { HttpClient, HttpClientError, HttpClientResponse } from "effect/http"
import * as Recording from "./Recording.ts"
import * as ResponseBody from "./ResponseBody.ts"
import * as Secrets from "./Secrets.ts"

export interface ReplayOptions {
  /** The path of the recording. */
  readonly file: string
  /** That with which the recording was made, for what is asked to be the same. */
  readonly redact?: ((text: string) => string) | undefined
}

const decodeHeader = Schema.decodeEffect(Schema.fromJsonString(Recording.Header))
const decodeExchange = Schema.decodeEffect(Schema.fromJsonString(Recording.Exchange))

const read = Effect.fnUntraced(function* ({ file, redact }: ReplayOptions) {
  const fs = yield* FileSystem.FileSystem
  const fail = (why: string) =>
    new Recording.RecordingError({ message: `the recording ${file} cannot be played: ${why}` })
  const text = yield* Effect.mapError(fs.readFileString(file), ({ message }) => fail(message))
  const [first = "", ...lines] = text.split("\n").filter((line) => line !== "")
  const { redacted } = yield* Effect.mapError(decodeHeader(first), () =>
    fail("it does not begin as one of version 1 does")
  )
  if (redacted && redact === undefined) return yield* fail("it was made with `redact`: give the same function here")
  const exchanges = yield* Effect.forEach(lines, (line, index) =>
    Effect.mapError(decodeExchange(line), () => fail(`its line ${index + 2} is not an exchange`))
  )
  return exchanges.toSorted((a, b) => a.number - b.number)
})

/** JSON whose fields are in one order. */
const canonical = (value: unknown): string =>
  JSON.stringify(value, (_, value: unknown) =>
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : value
  )

/** Where two values differ, first of all, and how. */
const difference = (asked: unknown, recorded: unknown, path = ""): string | undefined => {
  if (canonical(asked) === canonical(recorded)) return undefined
  const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
    typeof value === "object" && value !== null
  if (isObject(asked) && isObject(recorded)) {
    for (const name of new Set([...Object.keys(asked), ...Object.keys(recorded)])) {
      const found = difference(asked[name], recorded[name], path === "" ? name : `${path}.${name}`)
      if (found !== undefined) return found
    }
  }
  const shown = (value: unknown) => (value === undefined ? "nothing" : (JSON.stringify(value) ?? "").slice(0, 200))
  return `${path} is ${shown(asked)} instead of ${shown(recorded)}`
}

/** How many parts of two requests are the same. */
const likeness = (a: Recording.RecordedRequest, b: Recording.RecordedRequest): number => {
  const kind = (path: string) => path.replace(/\?.*/, "").replace(/^\/sessions\/[^/]+/, "/sessions/ID")
  return (
    (a.method === b.method ? 4 : 0) +
    (kind(a.path) === kind(b.path) ? 8 : 0) +
    (a.path === b.path ? 2 : 0) +
    (canonical(a.body) === canonical(b.body) ? 1 : 0)
  )
}

/** Makes a client that answers with a recording. */
export const make = Effect.fnUntraced(function* (
  options: ReplayOptions
): Effect.fn.Return<HttpClient.HttpClient, Recording.RecordingError, FileSystem.FileSystem> {
  const { file, redact: own = (text: string) => text } = options
  const exchanges = yield* read(options)
  const ofContract = Secrets.makeRedact()
  const left = new Set(exchanges)

  const find = (asked: Recording.RecordedRequest): Recording.Exchange | undefined => {
    const same = exchanges.filter(({ request }) => canonical(request) === canonical(asked))
    // A token in what is asked was replaced by another placeholder than in the recording, if it was not asked in its order.
    const alike = Secrets.withoutTokens(canonical(asked))
    const matches =
      same.length > 0 ? same : exchanges.filter(({ request }) => Secrets.withoutTokens(canonical(request)) === alike)
    const next = matches.find((exchange) => left.has(exchange))
    if (next !== undefined) left.delete(next)
    // What only reads may be asked more often than it was.
    return next ?? (asked.method === "GET" ? matches.at(-1) : undefined)
  }

  const missing = (asked: Recording.RecordedRequest): Recording.RecordingError => {
    const what = `${asked.method} ${asked.path}`
    const among = left.size > 0 ? [...left] : exchanges
    const [nearest] = among.toSorted((a, b) => likeness(b.request, asked) - likeness(a.request, asked))
    if (nearest === undefined) {
      return new Recording.RecordingError({
        message: `the recording ${file} is empty, so it has no answer for ${what}`
      })
    }
    const { number, request } = nearest
    const how = difference(asked, request) ?? "it was asked before"
    return new Recording.RecordingError({
      message: `the recording ${file} has no answer for ${what}: the nearest is number ${number}, ${request.method} ${request.path}, but ${how}`
    })
  }

  return HttpClient.make(
    Effect.fnUntraced(function* (request, { pathname, search }) {
      const { recorded: asked } = yield* Recording.fromRequest(request, pathname + search, (text) =>
        ofContract(own(text))
      )
      const found = find(asked)
      // A defect: a test that asks what was not recorded is wrong.
      if (found === undefined) return yield* Effect.die(missing(asked))
      const { response } = found
      const broken = new HttpClientError.HttpClientError({
        reason: new HttpClientError.TransportError({ request, cause: ResponseBody.broken(request) })
      })
      if (response === "broken") return yield* broken
      if (response === "awaited") return yield* Effect.never
      const { cut, headers, status } = response
      const body = Recording.fromBody(response.body)
      const head = HttpClientResponse.fromWeb(
        request,
        new Response(cut === undefined ? body : null, { status, headers })
      )
      if (cut === undefined) return head
      const rest = cut === "by reader" ? Stream.never : Stream.fail(broken)
      return ResponseBody.make(request, head, Stream.concat(Stream.make(body), rest))
    })
  )
})

/** Answers as a recording has it. */
export const layer = (
  options: ReplayOptions
): Layer.Layer<HttpClient.HttpClient, Recording.RecordingError, FileSystem.FileSystem> =>
  Layer.effect(HttpClient.HttpClient, make(options))
