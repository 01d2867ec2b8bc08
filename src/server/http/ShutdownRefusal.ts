/**
 * Answers new work with 503 while the server shuts down, and counts the requests that the shutdown waits for.
 */
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { sentences } from "../../wire/Failures.ts"
import * as Paths from "../../wire/Paths.ts"
import { Shutdown } from "../Shutdown.ts"

const shuttingDown = HttpServerResponse.jsonUnsafe({ detail: sentences.shuttingDown }, { status: 503 })

/** Refuses new work: every POST but a cancel, which only makes the shutdown come sooner. Reads and closes go on. */
export const layer = Layer.unwrap(
  Effect.map(Shutdown, ({ isUnderWay, track }) =>
    HttpRouter.middleware(
      (httpEffect) =>
        Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ method, url }) => {
          if (method !== "POST" || Paths.isCancel(url)) return httpEffect
          return Effect.flatMap(isUnderWay, (ending) => (ending ? Effect.succeed(shuttingDown) : track(httpEffect)))
        }),
      { global: true }
    )
  )
)
