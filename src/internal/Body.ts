/**
 * Reads the body of a response within bounds.
 */
import { Effect, Result, Stream } from "effect"
import type { HttpClientError, HttpClientResponse } from "effect/http"
import { isDeeper } from "../wire/Depth.ts"

/** The largest successful body that is read: 64 MiB. */
export const maxAnswerBytes = 64 * 1024 * 1024

/** Why a larger one is not read. */
export const tooLarge = `it is larger than ${maxAnswerBytes / 1024 / 1024} MiB`

/** The largest failure body that is read: 16 MiB. It may repeat a whole request, and cut short it would not be JSON. */
export const maxFailureBytes = 16 * 1024 * 1024

/** How deep the JSON of a response may nest. */
const maxDepth = 64

/** The text of a body, up to the limit. */
export interface Body {
  readonly text: string
  readonly whole: boolean
}

const utf8 = new TextDecoder()

const declaredSize = (response: HttpClientResponse.HttpClientResponse): number | undefined => {
  const length = response.headers["content-length"]
  // The length of a compressed body says nothing about its text.
  return length === undefined || response.headers["content-encoding"] !== undefined ? undefined : Number(length)
}

/** Reads a body up to `limit` bytes; a longer one is cut, and its connection closed. */
export const read = (
  response: HttpClientResponse.HttpClientResponse,
  limit: number
): Effect.Effect<Body, HttpClientError.HttpClientError> => {
  const size = declaredSize(response)
  return size !== undefined && size <= limit
    ? Effect.map(response.arrayBuffer, (bytes) => ({ text: utf8.decode(bytes), whole: true }))
    : readCounting(response, limit)
}

const isWithoutBody = ({ reason }: HttpClientError.HttpClientError): boolean => reason._tag === "EmptyBodyError"

const readCounting = Effect.fnUntraced(function* (response: HttpClientResponse.HttpClientResponse, limit: number) {
  const decoder = new TextDecoder()
  let text = ""
  let room = limit
  // A response of `fetch` may have no body where others have an empty one.
  const body = Stream.catchIf(response.stream, isWithoutBody, () => Stream.empty)
  yield* Stream.runForEachWhile(body, (chunk) =>
    Effect.sync(() => {
      text += decoder.decode(chunk.subarray(0, room), { stream: true })
      room -= chunk.byteLength
      return room >= 0
    })
  )
  return { text: text + decoder.decode(), whole: room >= 0 }
})

/** The JSON of a body, or a phrase that says why it has none. */
export const parseJson = (body: Body): Result.Result<unknown, string> => {
  if (!body.whole) return Result.fail(tooLarge)
  if (body.text === "") return Result.fail("it is empty")
  const parsed = Result.try({
    try: (): unknown => JSON.parse(body.text),
    catch: () => "it is not JSON"
  })
  return Result.isSuccess(parsed) && isDeeper(parsed.success, maxDepth)
    ? Result.fail(`it nests deeper than ${maxDepth}`)
    : parsed
}
