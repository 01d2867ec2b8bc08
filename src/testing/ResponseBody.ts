/**
 * Responses whose body is another stream.
 */
import { Effect, Stream } from "effect"
import { type HttpClientError, type HttpClientRequest, HttpClientResponse } from "effect/http"

/** The whole of some bytes. */
export const concat = (chunks: ReadonlyArray<Uint8Array>): Uint8Array<ArrayBuffer> => {
  const whole = new Uint8Array(chunks.reduce((sum, { byteLength }) => sum + byteLength, 0))
  let at = 0
  for (const chunk of chunks) {
    whole.set(chunk, at)
    at += chunk.byteLength
  }
  return whole
}

export const make = (
  request: HttpClientRequest.HttpClientRequest,
  { headers, status }: Pick<HttpClientResponse.HttpClientResponse, "headers" | "status">,
  body: Stream.Stream<Uint8Array, HttpClientError.HttpClientError>
): HttpClientResponse.HttpClientResponse => {
  const head = HttpClientResponse.fromWeb(request, new Response(null, { status, headers }))
  const bytes = Effect.map(Stream.runCollect(body), concat)
  // Boundary: of the type checker, which does not see what `Object.create` adds.
  return Object.create(head, {
    stream: { value: body },
    arrayBuffer: { value: Effect.map(bytes, ({ buffer }) => buffer) },
    text: { value: Effect.map(bytes, (bytes) => new TextDecoder().decode(bytes)) }
  }) as HttpClientResponse.HttpClientResponse
}

/** The error of a connection that broke while a response was read. */
export const broken = (request: HttpClientRequest.HttpClientRequest): Error =>
  Object.assign(new Error(`the connection to ${new URL(request.url, "http://forge.test").host} was reset`), {
    code: "ECONNRESET",
    syscall: "read"
  })
