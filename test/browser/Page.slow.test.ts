/**
 * The client in a real browser, which sends nothing to another origin that the server there does not allow.
 */
import { assert, layer } from "@effect/vitest"
import { Context, Effect, Layer, Redacted } from "effect"
import * as ForgeAdmin from "../../src/ForgeAdmin.ts"
import * as NodeForgeAdmin from "../../src/node/NodeForgeAdmin.ts"
import * as Served from "../conformance/Served.ts"
import * as ScriptedServer from "../support/ScriptedServer.ts"
import * as Chromium from "./Chromium.ts"
import type { Options } from "./fixtures/Page.ts"

const make = Effect.gen(function* () {
  const { origin } = yield* Chromium.servePage(yield* Chromium.bundle("test/browser/fixtures/Page.ts"))
  const page = yield* Chromium.open(yield* Chromium.launch, origin)
  const converse = (options: Options) =>
    Effect.promise(async () => {
      await page.waitForFunction(() => globalThis.converse !== undefined)
      return await page.evaluate((options) => globalThis.converse?.(options), options)
    })
  const rehearse = Effect.promise(async () => {
    await page.waitForFunction(() => globalThis.rehearse !== undefined)
    return await page.evaluate(() => globalThis.rehearse?.())
  })
  return { origin, converse, rehearse }
})

class Page extends Context.Service<Page, Effect.Success<typeof make>>()("test/Page") {
  static readonly layer = Layer.effect(Page, make)
}

const adminToken = "the-admin-token-of-this-test-0123456789"

/** Starts `forge serve`, and mints a token. */
const serve = Effect.fnUntraced(function* (...flags: ReadonlyArray<string>) {
  const { url } = yield* Served.serve({ home: yield* Served.home, adminToken, flags })
  const { token } = yield* ForgeAdmin.ForgeAdmin.use((admin) => admin.mint("page")).pipe(
    Effect.provide(NodeForgeAdmin.layer({ url, token: Redacted.make(adminToken) }))
  )
  return { url, token: Redacted.value(token) }
})

const sentence = (url: string, origin: string) => ({
  message:
    `the browser shows no answer of ${url}: is a clawdforge server running there, and does it allow this page ` +
    `(CORS: --cors-origin ${origin}, or propagateTrace: false if it refuses traceparent)?`,
  outcome: "unknown"
})

layer(Page.layer, { excludeTestServices: true, timeout: "2 minutes" })("a page in Chromium", (it) => {
  it.effect("uploads a file, opens a session, sends turns and closes it, on a server that allows its origin", () =>
    Effect.gen(function* () {
      const { converse, origin } = yield* Page
      const seen = yield* converse(yield* serve("--cors-origin", origin))
      if (seen === undefined || !("texts" in seen)) return assert.fail(JSON.stringify(seen))
      assert.deepInclude(seen, { size: 19, open: 0 })
      assert.include(seen.texts[1], "heliotrope")
      assert.include(seen.texts[1], "Buy milk — today.")
    })
  )

  it.effect("is told of CORS, in one sentence, by a server that does not allow its origin", () =>
    Effect.gen(function* () {
      const { converse, origin } = yield* Page
      const server = yield* serve()
      assert.deepStrictEqual(yield* converse(server), sentence(server.url, origin))
    })
  )

  it.effect("can leave traceparent out, for a server that allows no tracing", () =>
    Effect.gen(function* () {
      const { converse, origin } = yield* Page
      const cors = {
        "access-control-allow-origin": origin,
        "access-control-allow-methods": "GET, POST, DELETE",
        "access-control-allow-headers": "authorization, content-type, idempotency-key"
      }
      const { received, url } = yield* ScriptedServer.start(({ method }) =>
        method === "OPTIONS" ? { status: 204, headers: cors } : { status: 401, headers: cors, json: { detail: "no" } }
      )
      const server = { url, token: "cf_test-token" }
      assert.deepStrictEqual(yield* converse(server), sentence(url, origin))
      assert.deepStrictEqual(yield* converse({ ...server, propagateTrace: false }), {
        message: "no",
        outcome: "AuthError"
      })
      for (const { headers } of received) assert.notProperty(headers, "traceparent")
    })
  )

  it.effect("runs the fake, which needs neither a server nor Node", () =>
    Effect.gen(function* () {
      const { rehearse } = yield* Page
      const texts = ["Remember the word heliotrope. ", "Which word was it? 19"]
      assert.deepStrictEqual(yield* rehearse, { texts, size: 19, open: 0 })
    })
  )
})
