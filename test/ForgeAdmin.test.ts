import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Redacted } from "effect"
import { ApiError, ForgeAdmin } from "../src/index.ts"
import { answers, conversation, failing } from "./support/Conversation.ts"
import { layerClients } from "./support/MemoryServer.ts"

const admin = ForgeAdmin.ForgeAdmin

const minted = { name: "billing", token: "cf_plain-text", ip_cidrs: null }

describe("seed: app tokens", () => {
  it.effect("mint sends the name, and the networks if any are given", () =>
    Effect.gen(function* () {
      const { mint } = yield* admin
      const first = yield* mint("billing")
      const second = yield* mint("billing", { ipCidrs: ["10.0.0.0/8", "::1/128"] })
      yield* mint("billing", { ipCidrs: undefined })
      yield* mint("billing", { ipCidrs: [] })
      assert.deepStrictEqual(yield* conversation, [
        `POST /admin/tokens {"name":"billing"}`,
        `POST /admin/tokens {"name":"billing","ip_cidrs":["10.0.0.0/8","::1/128"]}`,
        `POST /admin/tokens {"name":"billing"}`,
        `POST /admin/tokens {"name":"billing","ip_cidrs":[]}`
      ])
      assert.strictEqual(Redacted.value(first.token), "cf_plain-text")
      assert.deepInclude(first, { name: "billing" })
      assert.isUndefined(first.ipCidrs)
      assert.deepStrictEqual(second.ipCidrs, ["10.0.0.0/8"])
    }).pipe(
      Effect.provide(
        layerClients(
          answers({ "POST /admin/tokens": [{ json: minted }, { json: { ...minted, ip_cidrs: ["10.0.0.0/8"] } }] })
        )
      )
    )
  )

  it.effect("minting a name that is in use fails with ApiError<409> TokenExists", () =>
    Effect.gen(function* () {
      const { error, sent } = yield* failing(admin.use(({ mint }) => mint("billing")))
      assert.isTrue(ApiError.is(409)(error))
      assert.deepNestedInclude(error, { message: "token exists", "reason._tag": "TokenExists", outcome: "refused" })
      assert.strictEqual(sent.length, 1)
    }).pipe(
      Effect.provide(layerClients(answers({ "POST /admin/tokens": { status: 409, json: { detail: "token exists" } } })))
    )
  )

  it.effect("list reads an object with tokens, and the bare array of older servers", () => {
    const rows = [
      { name: "billing", ip_cidrs: ["10.0.0.0/8"], created_at: 1_700_000_000 },
      { name: "search", ip_cidrs: null, created_at: 1_700_000_001 },
      { name: "older", created_at: 1_700_000_002 }
    ]
    const infos = [
      { name: "billing", ipCidrs: ["10.0.0.0/8"], createdAt: DateTime.makeUnsafe(1_700_000_000_000) },
      { name: "search", createdAt: DateTime.makeUnsafe(1_700_000_001_000) },
      { name: "older", createdAt: DateTime.makeUnsafe(1_700_000_002_000) }
    ]
    return Effect.gen(function* () {
      const { list } = yield* admin
      assert.deepStrictEqual(yield* list, infos)
      assert.deepStrictEqual(yield* list, infos)
      assert.deepStrictEqual(yield* list, [])
      assert.deepStrictEqual(yield* conversation, ["GET /admin/tokens", "GET /admin/tokens", "GET /admin/tokens"])
    }).pipe(
      Effect.provide(
        layerClients(
          answers({ "GET /admin/tokens": [{ json: { ok: true, tokens: rows } }, { json: rows }, { json: [] }] })
        )
      )
    )
  })

  it.effect("revoke deletes by name, and fails with ApiError<404> NotFound for an unknown token", () =>
    Effect.gen(function* () {
      const { revoke } = yield* admin
      assert.isUndefined(yield* revoke("billing"))
      const error = yield* Effect.flip(revoke("unknown"))
      assert.deepNestedInclude(error, { status: 404, "reason._tag": "NotFound", "reason.resource": "token" })
      assert.deepStrictEqual(yield* conversation, ["DELETE /admin/tokens/billing", "DELETE /admin/tokens/unknown"])
    }).pipe(
      Effect.provide(
        layerClients(
          answers({
            "DELETE /admin/tokens/billing": { json: { ok: true } },
            "DELETE /admin/tokens/unknown": { status: 404, json: { detail: "token not found" } }
          })
        )
      )
    )
  )

  for (const name of ["", " ", "Billing", "a b", "a/../../healthz", "a%2Fb", "é", "a\n", "x".repeat(65)]) {
    it.effect(`an invalid name is refused without a request: ${JSON.stringify(name.slice(0, 20))}`, () =>
      Effect.gen(function* () {
        const { mint, revoke } = yield* admin
        const ofMint = yield* failing(mint(name))
        const ofRevoke = yield* failing(revoke(name))
        for (const { error, sent } of [ofMint, ofRevoke]) {
          assert.deepInclude(error, { _tag: "ApiError", status: 422, outcome: "not-sent" })
          assert.strictEqual(error.message, "name must be 1 to 64 lower-case letters, digits, _ or -")
          assert.deepStrictEqual(sent, [])
        }
      }).pipe(Effect.provide(layerClients(answers({}))))
    )
  }
})
