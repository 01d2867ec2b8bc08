import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Latch, Queue, Stream } from "effect"
import { HttpServerRequest, HttpServerResponse } from "effect/http"
import * as InProcess from "../../../src/server/http/InProcess.ts"

const url = "http://embedded/path"

describe("InProcess", () => {
  it.effect("a handler gets the request, and the client gets its response", () =>
    Effect.gen(function* () {
      const client = InProcess.make(
        Effect.gen(function* () {
          const request = yield* HttpServerRequest.HttpServerRequest
          return HttpServerResponse.jsonUnsafe([request.method, request.url, request.headers["x-a"]], { status: 201 })
        })
      )
      const answer = yield* client.post(url, { headers: { "x-a": "b" } })
      assert.strictEqual(answer.status, 201)
      assert.deepStrictEqual(yield* answer.json, ["POST", "/path", "b"])
    })
  )

  it.effect("the failure or defect of a handler is a response too", () =>
    Effect.gen(function* () {
      const statusOf = (handler: Effect.Effect<never, string>) =>
        Effect.map(InProcess.make(handler).get(url), ({ status }) => status)
      assert.strictEqual(yield* statusOf(Effect.fail("no")), 500)
      assert.strictEqual(yield* statusOf(Effect.die("no")), 500)
    })
  )

  it.effect("interrupting a request interrupts its handler", () =>
    Effect.gen(function* () {
      const started = yield* Latch.make()
      const ended = yield* Deferred.make<string>()
      const client = InProcess.make(
        started.open.pipe(
          Effect.andThen(Effect.never),
          Effect.onInterrupt(() => Deferred.succeed(ended, "interrupted")),
          Effect.interruptible
        )
      )
      const request = yield* Effect.forkChild(client.get(url))
      yield* started.await
      yield* Fiber.interrupt(request)
      assert.strictEqual(yield* Deferred.await(ended), "interrupted")
    })
  )

  it.effect("a body is streamed, and the scope of its handler closes when it ends", () =>
    Effect.gen(function* () {
      const chunks = yield* Queue.unbounded<string>()
      const closed = yield* Deferred.make<void>()
      const client = InProcess.make(
        Effect.gen(function* () {
          yield* Effect.addFinalizer(() => Deferred.succeed(closed, undefined))
          return HttpServerResponse.stream(Stream.encodeText(Stream.fromQueue(chunks)))
        })
      )
      const answer = yield* client.get(url)
      const first = yield* Deferred.make<string>()
      const reading = yield* answer.stream.pipe(
        Stream.decodeText(),
        Stream.runForEach((chunk) => Deferred.succeed(first, chunk)),
        Effect.forkChild
      )
      yield* Queue.offer(chunks, "one")
      assert.strictEqual(yield* Deferred.await(first), "one")
      assert.isFalse(yield* Deferred.isDone(closed))
      yield* Fiber.interrupt(reading)
      yield* Deferred.await(closed)
    })
  )
})
