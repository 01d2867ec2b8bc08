/**
 * The contract as an OpenAPI document: the endpoints, the refusals that come before any endpoint, and the event stream of a
 * turn.
 */
import { Record } from "effect"
import { OpenApi } from "effect/http-api"
import { Api } from "../../api/Api.ts"

const refusal = (description: string): OpenApi.OpenApiSpecResponse => ({
  description,
  content: {
    "application/json": {
      schema: { type: "object", properties: { detail: { type: "string" } }, required: ["detail"] }
    }
  }
})

/** The refusals of any request. */
const always = {
  400: refusal("Host or Authorization was sent more than once"),
  403: refusal("The address of the client is not allowed"),
  421: refusal("The Host header is not a name of this server"),
  431: refusal("The headers are too large")
}

/** The refusals of a request for work. */
const shuttingDown = { 503: refusal("The server is shutting down") }

const eventStream = {
  schema: {
    type: "string",
    description:
      "To a request with Accept: text/event-stream. One frame per event as it happens, with its number as the id, its type as the event and itself as the data; then the event done, with the JSON answer less its events, or the event error, with {status, body} as they would have been. With Last-Event-ID and the same Idempotency-Key, the frames after that number; the event gap, with {after, next}, is in place of those that are not kept any more."
  }
} as const

const header = (description: string): OpenApi.OpenAPISpecHeader => ({
  description,
  required: true,
  schema: { type: "string" }
})

const requestId = { "X-Request-Id": header("The request's X-Request-Id, or a new id") }
const retryAfter = { "Retry-After": header("Seconds to wait before the next try") }

/** The headers of every response with a status, in addition to the request's id. */
const headersOf: Readonly<Record<number, Record<string, OpenApi.OpenAPISpecHeader>>> = {
  401: { "WWW-Authenticate": header("Bearer") },
  429: retryAfter,
  503: retryAfter
}

type Operation = OpenApi.OpenAPISpecOperation

const withHeaders = (response: OpenApi.OpenApiSpecResponse, status: string): OpenApi.OpenApiSpecResponse => ({
  ...response,
  headers: { ...requestId, ...headersOf[Number(status)] }
})

const withRefusals = (operation: Operation, more: Operation["responses"] = {}): Operation => ({
  ...operation,
  responses: Record.map({ ...always, ...more, ...operation.responses }, withHeaders)
})

/** The operations that can be read as an event stream. */
const streamed = new Set(["sessions.turn", "runs.run"])

const withEventStream = (operation: Operation): Operation => {
  const done = operation.responses[200]
  if (!streamed.has(operation.operationId) || done === undefined) return operation
  const content = { ...done.content, "text/event-stream": eventStream }
  return { ...operation, responses: { ...operation.responses, 200: { ...done, content } } }
}

const complete = ({ delete: remove, get, post }: OpenApi.OpenAPISpecPathItem): OpenApi.OpenAPISpecPathItem => ({
  ...(get === undefined ? {} : { get: withRefusals(get) }),
  ...(post === undefined ? {} : { post: withEventStream(withRefusals(post, shuttingDown)) }),
  ...(remove === undefined ? {} : { delete: withRefusals(remove) })
})

const declared = OpenApi.fromApi(Api)

export const document: OpenApi.OpenAPISpec = { ...declared, paths: Record.map(declared.paths, complete) }
