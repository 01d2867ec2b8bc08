/**
 * Limits the size of request bodies: of an upload by the largest file and its form, of any other by the bound for JSON.
 */
import { ByteSize, Effect, Layer } from "effect"
import { HttpIncomingMessage, HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import * as Paths from "../../wire/Paths.ts"
import * as UploadForm from "../files/UploadForm.ts"
import { Uploads } from "../files/Uploads.ts"

const maxJson = ByteSize.mebibytes(8)

/** `Refusals` adds the body. */
const tooLarge = HttpServerResponse.empty({ status: 413 })

/** Refuses a request by its `Content-Length`, and cuts off a longer one that has none. */
export const layer = Layer.unwrap(
  Effect.map(Uploads, ({ maxSize }) => {
    const maxForm = ByteSize.sum(maxSize, UploadForm.maxOverhead)
    return HttpRouter.middleware(
      (httpEffect) =>
        Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
          const limit = Paths.isUpload(request.url) ? maxForm : maxJson
          return Number(request.headers["content-length"]) > limit
            ? Effect.succeed(tooLarge)
            : Effect.provideService(httpEffect, HttpIncomingMessage.MaxBodySize, limit)
        }),
      { global: true }
    )
  })
)
