/**
 * The documentation of the contract: a page at `/docs` and an OpenAPI document at `/openapi.json`. The page has no script
 * and loads nothing.
 */
import { Effect } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import type { OpenApi } from "effect/http-api"
import { document } from "./Document.ts"

/** The paths of the documentation. */
export const paths = { page: "/docs", openApi: "/openapi.json" } as const

const escape = (text: string) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;")

const code = (value: unknown) => `<pre>${escape(JSON.stringify(value, null, 2))}</pre>`

const verbs = ["get", "post", "delete"] as const

const operationsOf = ({ paths }: OpenApi.OpenAPISpec) =>
  Object.entries(paths).flatMap(([path, item]) =>
    verbs.flatMap((verb) => {
      const operation = item[verb]
      return operation === undefined ? [] : [{ path, method: verb.toUpperCase(), operation }]
    })
  )

const answer = ([status, { content, description, headers = {} }]: [string, OpenApi.OpenApiSpecResponse]) =>
  `<h4>${status} ${escape(description)}</h4>
<p>Headers: ${Object.keys(headers).join(", ")}</p>${content === undefined ? "" : code(content)}`

const section = ({ method, operation, path }: ReturnType<typeof operationsOf>[number]) => `<details>
<summary><b>${method}</b> ${escape(path)}</summary>
${operation.parameters.length === 0 ? "" : `<h3>Parameters</h3>${code(operation.parameters)}`}
${operation.requestBody === undefined ? "" : `<h3>Body</h3>${code(operation.requestBody.content)}`}
<h3>Answers</h3>
${Object.entries(operation.responses).map(answer).join("\n")}
</details>`

const schema = ([name, schema]: [string, unknown]) =>
  `<details id="${escape(name)}"><summary>${escape(name)}</summary>${code(schema)}</details>`

const page = (spec: OpenApi.OpenAPISpec) => `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>${escape(spec.info.title)}</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
summary { cursor: pointer; padding: .3rem 0; font-family: ui-monospace, monospace }
pre { background: #f5f5f5; padding: .7rem; overflow: auto }
</style>
<h1>${escape(spec.info.title)} ${escape(spec.info.version)}</h1>
<p>App tokens go into the header <code>Authorization: Bearer cf_…</code>. The OpenAPI document: <a href="${paths.openApi}">${paths.openApi}</a>.</p>
${operationsOf(spec).map(section).join("\n")}
<h2>Schemas</h2>
${Object.entries(spec.components.schemas).map(schema).join("\n")}
</html>
`

const headers = {
  "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff"
}

export const layer = HttpRouter.use(
  Effect.fnUntraced(function* (router) {
    const html = HttpServerResponse.text(page(document), { contentType: "text/html; charset=utf-8", headers })
    yield* router.add("GET", paths.page, html)
    yield* router.add("GET", paths.openApi, HttpServerResponse.jsonUnsafe(document))
  })
)
