/**
 * The paths of the server, and the methods of each.
 *
 * A path is matched letter by letter, so that whoever guards one, in a proxy for example, guards all of it. The router
 * alone would also take `/%72un` and `/run;a=b` for `/run`.
 */
import { Array, Effect } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { Api } from "../../api/Api.ts"
import { sentences } from "../../wire/Failures.ts"
import * as Docs from "./Docs.ts"

export interface Path {
  /** As the contract has it, `/sessions/:id` for one. */
  readonly path: string
  readonly methods: ReadonlySet<string>
}

const endpoints: ReadonlyArray<{ readonly method: string; readonly path: string }> = [
  ...Object.values(Api.groups).flatMap((group) => Object.values(group.endpoints)),
  ...Object.values(Docs.paths).map((path) => ({ method: "GET", path }))
]

/** How long an id or a name in a path may be. */
export const maxSegment = 1_024

/** An id or a name holds nothing that would have to be encoded. */
const segment = `[A-Za-z0-9._~-]{1,${maxSegment}}`

// The router takes a HEAD for a GET.
const withHead = (method: string) => (method === "GET" ? [method, "HEAD"] : [method])

const paths = Object.entries(Array.groupBy(endpoints, ({ path }) => path)).map(([path, endpoints]) => ({
  path,
  methods: new Set(endpoints.flatMap(({ method }) => withHead(method))),
  pattern: new RegExp(`^${path.replaceAll(".", "\\.").replaceAll(/:[a-z]+/g, segment)}$`)
}))

/** The path that a URL has, if it is one of the server's. */
export const find = (url: string): Path | undefined => {
  const [path = ""] = url.split("?", 1)
  return paths.find(({ pattern }) => pattern.test(path))
}

/** `Refusals` gives it its body. */
const notFound = HttpServerResponse.empty({ status: 404 })

/** Answers requests to paths that do not exist, and with methods that their path does not have. */
export const layer = HttpRouter.middleware(
  (httpEffect) =>
    Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ method, url }) => {
      const found = find(url)
      if (found === undefined) return Effect.succeed(notFound)
      if (found.methods.has(method)) return httpEffect
      const headers = { allow: [...found.methods].join(", ") }
      return Effect.succeed(
        HttpServerResponse.jsonUnsafe({ detail: sentences.methodNotAllowed }, { status: 405, headers })
      )
    }),
  { global: true }
)
