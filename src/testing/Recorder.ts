/**
 * Records what goes over the wire, for a test to play it without a server.
 */
import { Effect, FileSystem, Layer, Schema, Semaphore, Stream } from "effect"
import { HttpBody, HttpClient, HttpClientRequest } from "effect/http"
import * as Recording from "./Recording.ts"
import * as ResponseBody from "./ResponseBody.ts"

export interface RecordOptions {
  /** The path of the recording, which is written anew. */
  readonly file: string
  /** Removes secrets of your own from a body before it is written; those of the contract are removed in any case. */
  readonly redact?: ((text: string) => string) | undefined
}

const encodeExchange = Schema.encodeEffect(Schema.fromJsonString(Recording.Exchange))

/** Makes a client that records what another one sends and gets. */
export const make = Effect.fnUntraced(function* (
  options: RecordOptions
): Effect.fn.Return<HttpClient.HttpClient, Recording.RecordingError, FileSystem.FileSystem | HttpClient.HttpClient> {
  const fs = yield* FileSystem.FileSystem
  const inner = yield* HttpClient.HttpClient
  const { file, redact: own = (text: string) => text } = options
  const ofContract = Recording.makeRedact()
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
      const secret = Recording.secretIn(exchange, line, [...tokens])
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

  yield* append(JSON.stringify(Recording.header), "w")
  return HttpClient.make(
    Effect.fnUntraced(function* (request, { pathname, search }) {
      const number = ++count
      const { bytes, contentType, recorded } = yield* Recording.fromRequest(request, pathname + search, redact)
      tokens.add((request.headers["authorization"] ?? "").replace(/^Bearer /, ""))
      const sent =
        request.body._tag === "Stream"
          ? HttpClientRequest.setBody(request, HttpBody.uint8Array(bytes, contentType))
          : request
      const response = yield* Effect.tapError(inner.execute(sent), () => write({ number, request: recorded }))

      const chunks: Array<Uint8Array> = []
      let isWhole = false
      const end = Effect.suspend(() => {
        const recordedResponse = Recording.fromResponse(response, {
          bytes: ResponseBody.concat(chunks),
          isWhole,
          redact
        })
        return write({ number, request: recorded, response: recordedResponse })
      })
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
        Stream.ensuring(end)
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
