/**
 * The id of a request, which every answer carries: the client's own, or a new one.
 */
import { Effect, Layer } from "effect"
import { SecureRandom } from "effect/crypto/SecureRandom"
import { HttpEffect, HttpRouter, HttpServerResponse } from "effect/http"

const header = "x-request-id"

const pattern = /^[A-Za-z0-9._-]{1,128}$/

export const layer = Layer.unwrap(
  Effect.gen(function* () {
    const random = yield* SecureRandom
    return HttpRouter.middleware(
      HttpEffect.withPreResponseHandler((request, response) => {
        const given = request.headers[header]
        const id = given !== undefined && pattern.test(given) ? Effect.succeed(given) : random.uuidV4()
        return Effect.map(id, (id) => HttpServerResponse.setHeader(response, header, id))
      }),
      { global: true }
    )
  })
)
