import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import * as TurnBudget from "../../../src/server/TurnBudget.ts"
import * as ResponseBudget from "../../../src/server/http/ResponseBudget.ts"

it.effect("a response counts against the budget of turns until it is sent", () => {
  const budget = TurnBudget.make(1_000)
  const routes = HttpRouter.add("GET", "/", HttpServerResponse.text("x".repeat(900))).pipe(
    Layer.provideMerge(ResponseBudget.layer)
  )
  return Effect.gen(function* () {
    const answer = yield* HttpRouter.toHttpEffect(routes)
    const request = HttpServerRequest.fromWeb(new Request("http://localhost/"))
    yield* Effect.scoped(
      Effect.gen(function* () {
        yield* Effect.provideService(answer, HttpServerRequest.HttpServerRequest, request)
        assert.isFalse(budget.take(101))
      })
    )
    assert.isTrue(budget.take(1_000))
  }).pipe(
    Effect.provideService(TurnBudget.TurnBudget, budget),
    Effect.scoped,
    Effect.provide(NodeHttpServer.layerHttpServices)
  )
})
