/**
 * The contract as an OpenAPI document: what the endpoints declare, what is answered before any of them is reached, and
 * the event stream of a turn.
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

/** What any request may be answered with. */
const always = {
  400: refusal("Host or Authorization was sent more than once"),
  403: refusal("The address of the client is not allowed"),
  421: refusal("The Host header has no name of this server"),
  431: refusal("The headers are too large")
}

/** What a request for work may be answered with. */
const ending = { 503: refusal("The server is shutting down") }

const eventStream = {
  schema: {
    type: "string",
    description:
      "To a request with Accept: text/event-stream. One frame per event of the turn as it happens, with its type as the event and itself as the data; then the event done, with the JSON answer less its events, or the event error, with {status, body} as they would have been."
  }
} as const

type Operation = OpenApi.OpenAPISpecOperation

const withRefusals = (operation: Operation, more: Operation["responses"] = {}): Operation => ({
  ...operation,
  responses: { ...always, ...more, ...operation.responses }
})

const withEventStream = (operation: Operation): Operation => {
  const done = operation.responses[200]
  if (operation.operationId !== "sessions.turn" || done === undefined) return operation
  const content = { ...done.content, "text/event-stream": eventStream }
  return { ...operation, responses: { ...operation.responses, 200: { ...done, content } } }
}

const complete = ({ delete: remove, get, post }: OpenApi.OpenAPISpecPathItem): OpenApi.OpenAPISpecPathItem => ({
  ...(get === undefined ? {} : { get: withRefusals(get) }),
  ...(post === undefined ? {} : { post: withEventStream(withRefusals(post, ending)) }),
  ...(remove === undefined ? {} : { delete: withRefusals(remove) })
})

const declared = OpenApi.fromApi(Api)

export const document: OpenApi.OpenAPISpec = { ...declared, paths: Record.map(declared.paths, complete) }
