/**
 * How large a request may be: a file and what stands around it on the path of uploads, else JSON.
 */
import { ByteSize, Effect, Layer } from "effect"
import { HttpIncomingMessage, HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import * as Files from "../../wire/Files.ts"
import * as UploadForm from "../files/UploadForm.ts"
import { Uploads } from "../files/Uploads.ts"

const json = ByteSize.mebibytes(8)

/** `Refusals` gives it its body. */
const tooLarge = HttpServerResponse.empty({ status: 413 })

const isUpload = ({ url }: HttpServerRequest.HttpServerRequest) => url.split("?", 1)[0] === Files.path

/** Refuses a request by the length that it announces, and cuts one that announced none. */
export const layer = Layer.unwrap(
  Effect.map(Uploads, ({ maxSize }) => {
    const form = ByteSize.sum(maxSize, UploadForm.maxOverhead)
    return HttpRouter.middleware(
      (httpEffect) =>
        Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
          const limit = isUpload(request) ? form : json
          return Number(request.headers["content-length"]) > limit
            ? Effect.succeed(tooLarge)
            : Effect.provideService(httpEffect, HttpIncomingMessage.MaxBodySize, limit)
        }),
      { global: true }
    )
  })
)
