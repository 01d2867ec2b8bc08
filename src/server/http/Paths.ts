/**
 * The paths of the server and their methods.
 *
 * Paths are matched literally, so that a rule for a path, in a proxy for example, has no other spelling to miss. The router
 * alone would also accept `/%72un` and `/run;a=b` for `/run`.
 */
import { Array, Effect } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { Api } from "../../api/Api.ts"
import { sentences } from "../../wire/Failures.ts"
import * as Paths from "../../wire/Paths.ts"
import * as Docs from "./Docs.ts"

export interface Path {
  /** The route, such as `/sessions/:id`. */
  readonly path: string
  readonly methods: ReadonlySet<string>
}

const endpoints: ReadonlyArray<{ readonly method: string; readonly path: string }> = [
  ...Object.values(Api.groups).flatMap((group) => Object.values(group.endpoints)),
  ...Object.values(Docs.paths).map((path) => ({ method: "GET", path }))
]

/** The longest id or name in a path. */
export const maxSegment = 1_024

/** An id or a name in a path. It has no character that would need encoding. */
const segment = `[A-Za-z0-9._~-]{1,${maxSegment}}`

// The router answers HEAD as GET.
const withHead = (method: string) => (method === "GET" ? [method, "HEAD"] : [method])

const paths = Object.entries(Array.groupBy(endpoints, ({ path }) => path)).map(([path, endpoints]) => ({
  path,
  methods: new Set(endpoints.flatMap(({ method }) => withHead(method))),
  pattern: new RegExp(`^${path.replaceAll(".", "\\.").replaceAll(/:[a-z]+/g, segment)}$`)
}))

/** The path of a URL, if it is one of the server's. */
export const find = (url: string): Path | undefined => {
  const [path = ""] = url.split("?", 1)
  return paths.find(({ pattern }) => pattern.test(path))
}

/** `Refusals` adds the body. */
const notFound = HttpServerResponse.empty({ status: 404 })

/** Health checks of proxies ask by OPTIONS too (HAProxy's do by default). */
const isHealthCheck = (method: string, { path }: Path) => method === "OPTIONS" && path === Paths.health

/** Answers requests to unknown paths with 404, and those with a wrong method with 405. */
export const layer = HttpRouter.middleware(
  (httpEffect) =>
    Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ method, url }) => {
      const found = find(url)
      if (found === undefined) return Effect.succeed(notFound)
      if (found.methods.has(method)) return httpEffect
      const headers = { allow: [...found.methods].join(", ") }
      if (isHealthCheck(method, found)) return Effect.succeed(HttpServerResponse.empty({ status: 204, headers }))
      return Effect.succeed(
        HttpServerResponse.jsonUnsafe({ detail: sentences.methodNotAllowed }, { status: 405, headers })
      )
    }),
  { global: true }
)
