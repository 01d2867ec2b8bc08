import * as NodeCrypto from "@effect/platform-node/NodeCrypto"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Option, Redacted } from "effect"
import { SqlClient } from "effect/sql"
import * as AppTokens from "../../../src/server/access/AppTokens.ts"
import { database } from "../storage/Support.ts"

const withTokens = Effect.provide(AppTokens.layer.pipe(Layer.provideMerge(database), Layer.provide(NodeCrypto.layer)))

const found = (token: Redacted.Redacted) =>
  Effect.map(
    AppTokens.AppTokens.use(({ find }) => find(token)),
    Option.getOrUndefined
  )

describe("AppTokens", () => {
  it.effect("an app is found by its token, of which only the SHA-256 is kept", () =>
    Effect.gen(function* () {
      const { mint } = yield* AppTokens.AppTokens
      const token = yield* mint("app", { ipCidrs: ["10.0.0.0/8"] })
      assert.match(Redacted.value(token), /^cf_[A-Za-z0-9_-]{43}$/)
      const app = yield* found(token)
      assert.deepStrictEqual([app?.name, app?.ipCidrs], ["app", ["10.0.0.0/8"]])
      assert.isUndefined(yield* found(Redacted.make("cf_")))
      const sql = yield* SqlClient.SqlClient
      const kept = JSON.stringify(yield* sql`SELECT * FROM tokens`)
      assert.match(kept, /"sha256":"[0-9a-f]{64}"/)
      assert.notInclude(kept, Redacted.value(token).slice("cf_".length))
    }).pipe(withTokens)
  )

  it.effect("a name is taken once, also by two concurrent requests", () =>
    Effect.gen(function* () {
      const { list, mint } = yield* AppTokens.AppTokens
      const asked = yield* Effect.all([Effect.result(mint("app")), Effect.result(mint("app"))], { concurrency: 2 })
      assert.deepStrictEqual(asked.map(({ _tag }) => _tag).toSorted(), ["Failure", "Success"])
      yield* mint("a-second")
      assert.deepStrictEqual(
        (yield* list).map(({ name }) => name),
        ["a-second", "app"]
      )
      for (const name of ["", "A", "a b", "a/b", "é", "x".repeat(65)]) {
        assert.strictEqual((yield* Effect.flip(mint(name)))._tag, "TokenRefused", name)
      }
    }).pipe(withTokens)
  )

  it.effect("renewing replaces the token of the same app", () =>
    Effect.gen(function* () {
      const { mint, renew } = yield* AppTokens.AppTokens
      const first = yield* mint("app")
      const app = yield* found(first)
      const second = yield* renew("app")
      assert.isUndefined(yield* found(first))
      assert.strictEqual((yield* found(second))?.id, app?.id)
    }).pipe(withTokens)
  )

  it.effect("a revoked token is unknown, and its name belongs to another app from then on", () =>
    Effect.gen(function* () {
      const { mint, remove } = yield* AppTokens.AppTokens
      const first = yield* mint("app")
      const app = yield* found(first)
      assert.deepStrictEqual(Option.getOrUndefined(yield* remove("app")), app)
      assert.isTrue(Option.isNone(yield* remove("app")))
      assert.isUndefined(yield* found(first))
      const again = yield* found(yield* mint("app"))
      assert.notStrictEqual(again?.id, app?.id)
    }).pipe(withTokens)
  )
})
