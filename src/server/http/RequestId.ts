/**
 * The id of a request: the client's, or a new one. It is in the response, and in every log line and span of the request.
 */
import { Effect, Layer } from "effect"
import { SecureRandom } from "effect/crypto/SecureRandom"
import { HttpEffect, HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { CurrentRequest } from "../CurrentRequest.ts"

export const header = "x-request-id"

const pattern = /^[A-Za-z0-9._-]{1,128}$/

export const layer = Layer.unwrap(
  Effect.gen(function* () {
    const random = yield* SecureRandom
    return HttpRouter.middleware(
      (httpEffect) =>
        Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ headers }) => {
          const given = headers[header]
          const id = given !== undefined && pattern.test(given) ? Effect.succeed(given) : random.uuidV4()
          return Effect.flatMap(id, (id) =>
            httpEffect.pipe(
              HttpEffect.withPreResponseHandler((_request, response) =>
                Effect.succeed(HttpServerResponse.setHeader(response, header, id))
              ),
              Effect.annotateLogs("request_id", id),
              Effect.provideService(CurrentRequest, { id })
            )
          )
        }),
      { global: true }
    )
  })
)
