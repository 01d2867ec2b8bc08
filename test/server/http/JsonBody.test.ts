import { assert, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import * as Http from "../../support/Http.ts"
import { serve } from "../Support.ts"

const shared = Effect.gen(function* () {
  const server = yield* serve()
  const app = yield* server.mint("app")
  const { ask } = Http.raw(server.url)
  /** Creates a session by the bytes of a body. */
  const create = (body: string, contentType = "application/json") =>
    ask(
      "POST /sessions HTTP/1.1",
      "host: localhost",
      `authorization: Bearer ${app.token}`,
      `content-type: ${contentType}`,
      `content-length: ${body.length}`,
      "",
      body
    )
  return { app, create }
})
class Shared extends Context.Service<Shared, Effect.Success<typeof shared>>()("test/Shared") {
  static readonly layer = Layer.effect(Shared, shared)
}

const refused = (msg: string, ...path: ReadonlyArray<string>): readonly [number, string] => [
  422,
  JSON.stringify({ detail: [{ loc: ["body", ...path], msg, type: "value_error" }] })
]

it.layer(Shared.layer, { excludeTestServices: true })("a JSON body", (it) => {
  it.effect("that is not UTF-8 is refused, and never altered", () =>
    Effect.gen(function* () {
      const { app, create } = yield* Shared
      for (const bytes of ["\xff", "\xc3", "\xe9t\xe9", "\xed\xa0\x80", "\xc0\xaf", "\xf5\x80\x80\x80"]) {
        const answer = yield* create(`{"agent":"demo","meta":{"a":"${bytes}"}}`)
        assert.deepStrictEqual(answer, refused("must be UTF-8"), JSON.stringify(bytes))
      }
      assert.include((yield* app.request("GET", "/sessions")).text, '"count":0')
    })
  )

  it.effect("with half a character has U+FFFD for it, also in what is kept under a key", () =>
    Effect.gen(function* () {
      const { app } = yield* Shared
      const { id } = yield* app.open
      const turn = (prompt: string) =>
        app.request("POST", `/sessions/${id}/turn`, { body: { prompt }, headers: { "idempotency-key": "halves" } })
      const { text } = yield* turn("/echo a\ud83d, 😀")
      assert.include(text, '"content":"a�, 😀"')
      assert.strictEqual((yield* turn("/echo a\ud83e, 😀")).text, text)
      yield* app.request("DELETE", `/sessions/${id}`)
    })
  )

  it.effect("may begin with a byte order mark", () =>
    Effect.gen(function* () {
      const { create } = yield* Shared
      const unknown = refused("no agent of this name: the server has demo", "agent")
      assert.deepStrictEqual(yield* create('\xef\xbb\xbf{"agent":"nosuch"}'), unknown)
    })
  )

  it.effect("is refused with another Content-Type", () =>
    Effect.gen(function* () {
      const { create } = yield* Shared
      const sentAs = refused("must be JSON, and sent with the header Content-Type: application/json")
      for (const type of ["text/plain", "application/x-www-form-urlencoded", "application/xml", "json"]) {
        assert.deepStrictEqual(yield* create('{"agent":"nosuch"}', type), sentAs, type)
      }
      for (const type of ["application/json; charset=utf-8", "Application/JSON"]) {
        const unknown = refused("no agent of this name: the server has demo", "agent")
        assert.deepStrictEqual(yield* create('{"agent":"nosuch"}', type), unknown, type)
      }
    })
  )
})
