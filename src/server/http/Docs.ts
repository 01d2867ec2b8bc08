/**
 * The documentation of the contract: a page at `/docs` and an OpenAPI document at `/openapi.json`.
 */
import { Effect } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import * as DocsPage from "./DocsPage.ts"
import { document } from "./Document.ts"

/** The paths of the documentation. */
export const paths = { page: "/docs", openApi: "/openapi.json" } as const

const headers = {
  "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff"
}

export const layer = HttpRouter.use(
  Effect.fnUntraced(function* (router) {
    const page = DocsPage.render(document, paths.openApi)
    const html = HttpServerResponse.text(page, { contentType: "text/html; charset=utf-8", headers })
    yield* router.add("GET", paths.page, html)
    yield* router.add("GET", paths.openApi, HttpServerResponse.jsonUnsafe(document))
  })
)
