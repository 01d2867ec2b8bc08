/**
 * Records what goes over the wire, for a test to play it without a server.
 */
import { Cause, Effect, Exit, FileSystem, Layer, Schema, Semaphore, Stream } from "effect"
import { HttpBody, HttpClient, HttpClientRequest } from "effect/http"
import * as Recording from "./Recording.ts"
import * as ResponseBody from "./ResponseBody.ts"
import * as Secrets from "./Secrets.ts"

export interface RecordOptions {
  /** The path of the recording, which is written anew. */
  readonly file: string
  /**
   * Removes secrets of your own from each text before it is written; tokens of the contract are removed in any case. What
   * plays the recording needs the same function.
   */
  readonly redact?: ((text: string) => string) | undefined
}

/** No secret is known to be longer, in characters. */
const longestSecret = 1024

const encodeHeader = Schema.encodeSync(Schema.fromJsonString(Recording.Header))
const encodeExchange = Schema.encodeEffect(Schema.fromJsonString(Recording.Exchange))

/** Makes a client that records what another one sends and gets. */
export const make = Effect.fnUntraced(function* (
  options: RecordOptions
): Effect.fn.Return<HttpClient.HttpClient, Recording.RecordingError, FileSystem.FileSystem | HttpClient.HttpClient> {
  const fs = yield* FileSystem.FileSystem
  const inner = yield* HttpClient.HttpClient
  const { file, redact: own = (text: string) => text } = options
  const ofContract = Secrets.makeRedact()
  const redact = (text: string) => ofContract(own(text))
  const tokens = new Set<string>()
  const writing = yield* Semaphore.make(1)
  let count = 0

  const append = (line: string, flag: "a" | "w") =>
    Effect.mapError(
      fs.writeFileString(file, `${line}\n`, { flag }),
      ({ message }) => new Recording.RecordingError({ message: `the recording ${file} cannot be written: ${message}` })
    )

  /** What was not recorded must not pass for a recording: the request fails with a defect. */
  const write = Effect.fnUntraced(
    function* (exchange: Recording.Exchange) {
      const line = yield* encodeExchange(exchange)
      const secret = Secrets.kindIn(textsOf(exchange, line), tokens)
      if (secret !== undefined) {
        const { method, path } = exchange.request
        return yield* new Recording.RecordingError({
          message: `the recording of ${method} ${path} would have ${secret} in it, so it was not written: remove it with redact`
        })
      }
      yield* append(line, "a")
    },
    Effect.orDie,
    writing.withPermits(1)
  )

  /** The ends of what the responses of a path said, by its kind: the next one may go on with it. */
  const tails = new Map<string, string>()

  /** All that an exchange says. */
  const textsOf = ({ request, response }: Recording.Exchange, line: string): ReadonlyArray<string> => {
    const asked = Recording.textsOf(request.body)
    const answered = Recording.textsOf(typeof response === "string" ? undefined : response.body)
    const goingOn = Array.from(answered.joined, ([kind, text]) => {
      const key = `${request.path} ${kind}`
      const whole = (tails.get(key) ?? "") + text
      tails.set(key, whole.slice(-longestSecret))
      return whole
    })
    const texts = [line, ...asked.texts, ...asked.joined.values(), ...answered.texts, ...goingOn]
    // An id is random: it may look like anything.
    const ids = Recording.idsIn(request, response)
    return texts.map((text) => ids.reduce((left, id) => left.replaceAll(id, ""), text))
  }

  yield* append(
    encodeHeader({ recording: "effect-clawdforge", version: 1, redacted: options.redact !== undefined }),
    "w"
  )
  return HttpClient.make(
    Effect.fnUntraced(function* (request, { pathname, search }) {
      const number = ++count
      const { bytes, contentType, recorded } = yield* Recording.fromRequest(request, pathname + search, redact)
      tokens.add((request.headers["authorization"] ?? "").replace(/^Bearer /, ""))
      const sent =
        request.body._tag === "Stream"
          ? HttpClientRequest.setBody(request, HttpBody.uint8Array(bytes, contentType))
          : request
      const without = (exit: Exit.Exit<unknown, unknown>) =>
        write({ number, request: recorded, response: Exit.hasInterrupts(exit) ? "awaited" : "broken" })
      const response = yield* Effect.onExitIf(inner.execute(sent), Exit.isFailure, without)

      const chunks: Array<Uint8Array> = []
      const end = (exit: Exit.Exit<unknown, unknown>, isWhole: boolean) => {
        const cut = isWhole
          ? undefined
          : Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause)
            ? "by connection"
            : "by reader"
        const recordedResponse = Recording.fromResponse(response, { bytes: ResponseBody.concat(chunks), cut, redact })
        return write({ number, request: recorded, response: recordedResponse })
      }
      let isWhole = false
      const tapped = response.stream.pipe(
        Stream.map((chunk) => {
          chunks.push(chunk)
          return chunk
        }),
        Stream.onEnd(
          Effect.sync(() => {
            isWhole = true
          })
        ),
        Stream.onExit((exit) => end(exit, isWhole))
      )
      return ResponseBody.make(request, response, tapped)
    })
  )
})

/** Records what goes over the `HttpClient` of the context. */
export const layer = (
  options: RecordOptions
): Layer.Layer<HttpClient.HttpClient, Recording.RecordingError, FileSystem.FileSystem | HttpClient.HttpClient> =>
  Layer.effect(HttpClient.HttpClient, make(options))
