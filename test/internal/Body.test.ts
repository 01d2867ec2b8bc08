import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect } from "effect"
import { FetchHttpClient } from "effect/http"
import { Forge, type SessionInfo } from "../../src/index.ts"
import { conversation, failing } from "../support/Conversation.ts"
import * as MemoryServer from "../support/MemoryServer.ts"
import { type Call, calls, layerClients } from "../support/Operations.ts"
import { type Answer, created, layer, ScriptedServer } from "../support/ScriptedServer.ts"

const id = "s-1" as SessionInfo.SessionId

const malformed = (description?: string) => ({
  _tag: "TransportError",
  "reason._tag": "Malformed",
  ...(description === undefined ? {} : { "reason.description": description })
})

/** Makes each call to a server that gives this answer. */
const eachCall = (
  answer: (call: Call) => Answer,
  then: (call: Call, name: string) => Effect.Effect<unknown, unknown, Effect.Services<Call["call"]> | ScriptedServer>
) =>
  Effect.forEach(Object.entries(calls), ([name, call]) =>
    Effect.provide(
      then(call, name),
      MemoryServer.layerClients(() => answer(call), { retry: false })
    )
  )

describe("seed: answers", () => {
  it.effect("each call is one request, and accepts the contract's answer", () =>
    eachCall(
      ({ good }) => ({ json: good }),
      Effect.fnUntraced(function* ({ call, request }, name) {
        yield* call
        const sent = yield* conversation
        assert.deepStrictEqual([sent.length, sent[0]?.startsWith(request)], [1, true], name)
      })
    )
  )

  describe("a success that is not JSON of the contract's shape is TransportError Malformed, and is not retried", () => {
    const bodies: Record<string, string> = {
      "no body": "",
      "a page": "<!doctype html><title>Welcome</title>",
      "half an object": `{"ok": true, "sess`,
      "two objects": `{"ok":true}{"ok":true}`,
      "an empty object": "{}",
      "an empty list": "[[]]",
      null: "null",
      "a string": `"ok"`,
      "a number": "1"
    }
    for (const [name, text] of Object.entries(bodies)) {
      it.effect(name, () =>
        eachCall(
          () => ({ text, headers: { "content-type": "application/json", "x-request-id": "req-1" } }),
          Effect.fnUntraced(function* ({ call, request }, of) {
            const { error, sent } = yield* failing(call)
            assert.deepNestedInclude(error, malformed(), of)
            assert.deepInclude(error, { outcome: "acted", requestId: "req-1" }, of)
            assert.deepNestedInclude(error, { "reason.status": 200 }, of)
            assert.strictEqual(sent.length, 1, of)
            assert.isTrue(sent[0]?.startsWith(request), of)
          })
        )
      )
    }

    it.effect("ok: false", () =>
      eachCall(
        ({ good }) => ({ json: { ...good, ok: false } }),
        Effect.fnUntraced(function* ({ call }, of) {
          // A server may say of itself that it is not well.
          if (of === "health") return assert.deepInclude(yield* call, { ok: false })
          assert.deepNestedInclude(yield* Effect.flip(call), malformed("ok is missing or of another kind"), of)
        })
      )
    )

    it.effect("a missing field, or one of another type", () =>
      Effect.forEach(Object.entries(calls), ([name, { call, good }]) =>
        Effect.forEach(Object.keys(good), (field) => {
          const others = [good[field] === null ? false : null, { not: "it" }]
          const answers = others.map((value) => ({ ...good, [field]: value }))
          return Effect.forEach(answers, (json) =>
            Effect.gen(function* () {
              const exit = yield* Effect.result(call)
              if (exit._tag === "Success") return `${name}.${field}: ${JSON.stringify(json[field])}`
              assert.deepNestedInclude(exit.failure, malformed(`${field} is missing or of another kind`))
              return []
            }).pipe(Effect.provide(MemoryServer.layerClients(() => ({ json }), { retry: false })))
          )
        })
      ).pipe(
        Effect.map((taken) =>
          // The fields that may be null or any JSON.
          assert.deepStrictEqual(taken.flat(3), [
            "health.claude_version: null",
            `state.meta: {"not":"it"}`,
            "turn.stop_reason: null",
            "run.result: null",
            `run.result: {"not":"it"}`,
            "run.stop_reason: null"
          ])
        )
      )
    )
  })

  it.live("a 204 is malformed, also through fetch", () =>
    Effect.forEach(Object.entries(calls), ([name, { call }]) =>
      Effect.map(Effect.flip(call), (error) =>
        assert.deepNestedInclude(error, { ...malformed("it is empty"), outcome: "acted" }, name)
      ).pipe(Effect.provide(layerClients(() => ({ status: 204 }), { retry: false, http: FetchHttpClient.layer })))
    )
  )

  it.effect("unknown fields of an answer are ignored", () =>
    eachCall(
      ({ good }) => ({ json: { ...good, unheard_of: { deep: [null] }, _tag: "x" } }),
      Effect.fnUntraced(function* ({ call, good }, name) {
        const plain = yield* Effect.provide(
          call,
          MemoryServer.layerClients(() => ({ json: good }))
        )
        const got = yield* call
        assert.strictEqual(JSON.stringify(got), JSON.stringify(plain), name)
      })
    )
  )

  it.effect("an answer may be nested 64 deep, and no deeper", () => {
    const nested = (depth: number) => {
      let meta: unknown = 'brackets of a text do not count: {[{[ \\" \\\\'.repeat(20)
      for (let level = 0; level < depth - 2; level++) meta = level % 2 === 0 ? { a: meta } : [meta]
      return { ...calls["state"]?.good, meta: { a: meta } }
    }
    const depths = [64, 65]
    return Effect.gen(function* () {
      yield* Forge.attach(id)
      const error = yield* Effect.flip(Forge.attach(id))
      assert.deepNestedInclude(error, malformed("it nests deeper than 64"))
    }).pipe(Effect.provide(MemoryServer.layer((_, nth) => ({ json: nested(depths[nth - 1] ?? 0) }))))
  })

  describe("an answer has 64 MiB at most", () => {
    const limit = 64 * 1024 * 1024
    const json = Buffer.from(JSON.stringify(calls["state"]?.good))
    const padded = (size: number) => Buffer.concat([json, Buffer.alloc(size - json.byteLength, " ")])

    it.live("and one of that size is read", () =>
      Effect.provide(
        Forge.attach(id),
        layer(() => ({ text: padded(limit) }))
      )
    )

    for (const headers of [{ "content-length": String(2 * limit) }, { "transfer-encoding": "chunked" }]) {
      it.live(`and a larger one is not read, and its connection is closed: ${Object.keys(headers).join()}`, () =>
        Effect.gen(function* () {
          const { error, sent } = yield* failing(Forge.attach(id))
          assert.deepNestedInclude(error, malformed("it is larger than 64 MiB"))
          assert.strictEqual(sent.length, 1)
          const { received } = yield* ScriptedServer
          const [request] = received
          if (request !== undefined) yield* Deferred.await(request.aborted)
        }).pipe(
          Effect.provide(
            // It never ends, so that only the client can have closed the connection.
            layer(() => ({ text: padded(limit + 1), hang: true, headers }))
          )
        )
      )
    }
  })
})

it.effect("an answer with a time that no date can hold is malformed, not a defect", () =>
  Effect.gen(function* () {
    const error = yield* Effect.flip(Effect.scoped(Forge.session()))
    assert.deepNestedInclude(error, malformed())
  }).pipe(Effect.provide(MemoryServer.layer(() => ({ json: { ...created(1), created_at: 9e12 } }))))
)
