/**
 * How large a request may be.
 */
import { ByteSize, Effect } from "effect"
import { HttpIncomingMessage, HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { sentences } from "../api/schema/Failures.ts"

const limit = ByteSize.mebibytes(8)

const tooLarge = HttpServerResponse.jsonUnsafe({ detail: sentences.tooLarge }, { status: 413 })

/** Refuses a request by the length that it announces, and cuts one that announced none. */
export const layer = HttpRouter.middleware(
  (httpEffect) =>
    Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ headers }) =>
      Number(headers["content-length"]) > ByteSize.toNumberUnsafe(limit)
        ? Effect.succeed(tooLarge)
        : Effect.provideService(httpEffect, HttpIncomingMessage.MaxBodySize, limit)
    ),
  { global: true }
)
