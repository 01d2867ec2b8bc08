/**
 * Makes the fake an older server: one without some of the features, whose events are in another dialect.
 */
import { Effect, Option, Predicate } from "effect"
import { HttpBody, HttpClient, HttpClientRequest, HttpClientResponse } from "effect/http"
import { type Feature, features } from "../wire/Features.ts"
import * as Json from "./Json.ts"
import * as RawEvents from "./RawEvents.ts"

export interface Options {
  /** The features that the server has; all of ours if not given. A server without any does not name the list. */
  readonly features?: ReadonlyArray<Feature> | undefined
  /**
   * How it writes the events of a turn: `normalised` if not given, `nested` or `flat` as two versions of the Python server
   * did, as raw messages of the agent protocol. With those it does not stream.
   */
  readonly dialect?: "normalised" | RawEvents.Dialect | undefined
}

type Fields = Readonly<Record<string, unknown>>

const without = (fields: Fields, names: ReadonlyArray<string>): Fields =>
  Object.fromEntries(Object.entries(fields).filter(([name]) => !names.includes(name)))

const endpoints: ReadonlyArray<readonly [Feature, RegExp]> = [
  ["agents", /^\/agents$/],
  ["cancel", /^\/sessions\/[^/]+\/cancel$/],
  ["diff", /^\/sessions\/[^/]+\/diff$/],
  ["files", /^\/sessions\/[^/]+\/files(\/content)?$/],
  ["events", /^\/sessions\/[^/]+\/events$/],
  ["ready", /^\/readyz$/]
]

/** The fields of a request's body that are a feature's, by feature. */
const bodyFields: ReadonlyArray<readonly [Feature, ReadonlyArray<string>, RegExp]> = [
  ["session_options", ["system", "system_mode", "effort"], /^\/sessions$/],
  ["workspaces", ["workspace"], /^\/sessions$/],
  ["mcp_servers", ["mcp_servers"], /^\/sessions$/],
  ["linger", ["linger_secs"], /^\/(run|sessions\/[^/]+\/turn)$/],
  ["agents", ["agent"], /^\/run$/]
]

const parse = (text: string): unknown => Option.getOrUndefined(Json.parse(text))

export const make = (server: HttpClient.HttpClient, { dialect = "normalised", ...options }: Options) => {
  const has = new Set<string>(options.features ?? features)
  if (dialect !== "normalised") has.delete("stream")
  const lacks = (feature: Feature) => !has.has(feature)
  let calls = 0

  const toOld = (request: HttpClientRequest.HttpClientRequest, path: string) => {
    const gone = bodyFields.flatMap(([feature, names, where]) => (lacks(feature) && where.test(path) ? names : []))
    const { body, headers } = request
    const json = gone.length > 0 && body._tag === "Uint8Array" ? parse(new TextDecoder().decode(body.body)) : undefined
    const streams = path === "/run" ? !lacks("run_stream") && !lacks("stream") : !lacks("stream")
    return request.pipe(
      streams ? (self) => self : HttpClientRequest.setHeaders({ accept: "application/json", "last-event-id": "0" }),
      // Of such a server no two calls are the same, and each of them outlives its connection.
      lacks("idempotency") && headers["idempotency-key"] !== undefined
        ? HttpClientRequest.setHeader("idempotency-key", `call-${++calls}`)
        : (self) => self,
      Predicate.isObject(json)
        ? HttpClientRequest.setBody(HttpBody.text(JSON.stringify(without(json, gone)), "application/json"))
        : (self) => self,
      lacks("pages")
        ? HttpClientRequest.setUrl(request.url.replaceAll(/(?<=[?&])(limit|cursor)=[^&]*&?/g, ""))
        : (self) => self
    )
  }

  const bodyOf = (path: string, body: Fields): Fields => {
    const known = lacks("usage") ? without(body, ["usage"]) : body
    if (path === "/healthz") {
      const named = [known["features"]].flat().filter((feature) => has.has(String(feature)))
      return has.size === 0 ? without(known, ["features"]) : { ...known, features: named }
    }
    if (path === "/sessions" && lacks("pages")) return without(known, ["next_cursor"])
    const { events } = known
    return dialect === "normalised" || !path.endsWith("/turn") || !Array.isArray(events)
      ? known
      : { ...known, events: RawEvents.encode(events, { dialect, stopReason: known["stop_reason"] }) }
  }

  const respond = Effect.fnUntraced(function* (
    request: HttpClientRequest.HttpClientRequest,
    path: string,
    response: HttpClientResponse.HttpClientResponse
  ) {
    const { "x-request-id": requestId, ...rest } = response.headers
    const headers = lacks("request_id") || requestId === undefined ? rest : response.headers
    if (rest["content-type"]?.startsWith("application/json") !== true) return response
    const text = yield* response.text
    const json = parse(text)
    const body = Predicate.isObject(json) ? JSON.stringify(bodyOf(path, { ...json })) : text
    const { "content-length": _length, ...sent } = headers
    return HttpClientResponse.fromWeb(request, new Response(body, { status: response.status, headers: sent }))
  })

  return HttpClient.make(
    Effect.fnUntraced(function* (request, { pathname }) {
      if (endpoints.some(([feature, where]) => lacks(feature) && where.test(pathname))) {
        return HttpClientResponse.fromWeb(request, Response.json({ detail: "Not Found" }, { status: 404 }))
      }
      return yield* respond(request, pathname, yield* server.execute(toOld(request, pathname)))
    })
  )
}

/** Whether anything of a server is older than ours. */
export const isOld = ({ dialect = "normalised", features: named }: Options) =>
  dialect !== "normalised" || named !== undefined
