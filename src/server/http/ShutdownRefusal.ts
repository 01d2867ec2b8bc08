/**
 * Answers new work with 503 while the server shuts down, and counts the requests that the shutdown waits for.
 */
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { sentences } from "../../wire/Failures.ts"
import { Shutdown } from "../Shutdown.ts"

const shuttingDown = HttpServerResponse.jsonUnsafe({ detail: sentences.shuttingDown }, { status: 503 })

/** A cancel is posted too, and only makes the end come sooner. */
const isCancel = (url: string) => /^\/sessions\/[^/?]+\/cancel(\?|$)/.test(url)

/** Refuses new work, which is whatever else is posted; what only looks or closes goes on. */
export const layer = Layer.unwrap(
  Effect.map(Shutdown, ({ isUnderWay, track }) =>
    HttpRouter.middleware(
      (httpEffect) =>
        Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ method, url }) => {
          if (method !== "POST" || isCancel(url)) return httpEffect
          return Effect.flatMap(isUnderWay, (ending) => (ending ? Effect.succeed(shuttingDown) : track(httpEffect)))
        }),
      { global: true }
    )
  )
)
