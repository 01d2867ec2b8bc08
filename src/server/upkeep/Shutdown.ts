/**
 * The end of a server: it takes no new work, and lets what is under way end within a grace.
 */
import { Context, type Duration, Effect, Latch, Layer } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { sentences } from "../../api/schema/Failures.ts"

export class Shutdown extends Context.Service<
  Shutdown,
  {
    readonly isUnderWay: Effect.Effect<boolean>
    /** Counts work that the end waits for. */
    readonly track: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
    /** Refuses new work from now on, and waits for the rest, but no longer than the grace. */
    readonly begin: (grace: Duration.Input) => Effect.Effect<void>
  }
>()("effect-clawdforge/server/upkeep/Shutdown") {}

export const make = Effect.gen(function* () {
  const idle = yield* Latch.make(true)
  let underWay = false
  let working = 0

  return Shutdown.of({
    isUnderWay: Effect.sync(() => underWay),
    track: (effect) =>
      Effect.acquireUseRelease(
        Effect.suspend(() => {
          working++
          return idle.close
        }),
        () => effect,
        () => Effect.suspend(() => (--working === 0 ? idle.open : Effect.void))
      ),
    begin: Effect.fn("Shutdown.begin")(function* (grace: Duration.Input) {
      underWay = true
      yield* Effect.timeoutOption(idle.await, grace)
    })
  })
})

export const layer = Layer.effect(Shutdown, make)

const refusal = HttpServerResponse.jsonUnsafe({ detail: sentences.shuttingDown }, { status: 503 })

/** Refuses new work, which is whatever is posted; what only looks or closes goes on. */
export const layerRefusal = Layer.unwrap(
  Effect.map(Shutdown, ({ isUnderWay, track }) =>
    HttpRouter.middleware(
      (httpEffect) =>
        Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ method }) => {
          if (method !== "POST") return httpEffect
          return Effect.flatMap(isUnderWay, (ending) => (ending ? Effect.succeed(refusal) : track(httpEffect)))
        }),
      { global: true }
    )
  )
)
