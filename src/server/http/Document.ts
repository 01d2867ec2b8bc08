/**
 * The contract as an OpenAPI document: the endpoints with their descriptions, the refusals that come before any endpoint,
 * and the event stream of a turn.
 */
import { Array as Arr, Predicate, Record } from "effect"
import { OpenApi } from "effect/http-api"
import { Api } from "../../api/Api.ts"
import * as Descriptions from "../../api/Descriptions.ts"

type Operation = OpenApi.OpenAPISpecOperation
type Json = { readonly [keyword: string]: unknown }

// ---------------------------------------------------------------------------------------------------------------------
// Schemas
// ---------------------------------------------------------------------------------------------------------------------

/** Effect names a schema by the path of its class, or by the encoded form of a schema. */
const plainName = (name: string): string => name.replace(/^.*[_/]/, "").replace(/Encoded$/, "")

/** The bounds of every integer, and of every date: they say nothing. */
const isWholeRange = (value: unknown): boolean =>
  typeof value === "number" && [Number.MAX_SAFE_INTEGER, 8.64e12].includes(Math.abs(value))

const describe = (owner: string, name: string, schema: Json): Json => ({
  ...schema,
  ...(Descriptions.fields[`${owner}.${name}`] ?? Descriptions.fields[name])
})

/** Part of an object's schema: its other fields are whatever they are. */
const isRest = (schema: unknown): boolean => JSON.stringify(schema) === '{"type":"object","additionalProperties":{}}'

/**
 * A schema as clients should read it: under plain names, its fields described, and open to fields that it does not know,
 * as the contract is on both sides.
 */
const plain = (owner: string, schema: object): Json => {
  const entries = Object.entries(schema).flatMap(([keyword, value]: [string, unknown]): Array<[string, unknown]> => {
    if ((keyword === "additionalProperties" && value === false) || isWholeRange(value)) return []
    if (keyword === "$ref") return [[keyword, `#/components/schemas/${plainName(String(value))}`]]
    if (keyword === "allOf" && Array.isArray(value) && value.every(isRest)) return [["additionalProperties", true]]
    if (keyword === "properties" && Predicate.isObject(value)) {
      const fields = Object.entries(value).map(([name, field]) => [
        name,
        describe(owner, name, plainValue(name, field))
      ])
      return [[keyword, Object.fromEntries(fields)]]
    }
    if (!Array.isArray(value)) return [[keyword, plainOr(owner, value)]]
    // An optional field that may be null is null twice.
    return [[keyword, Arr.dedupe(value.map((one) => plainOr(owner, one)))]]
  })
  const isAnyObject = entries.length === 1 && entries[0]?.[0] === "type" && entries[0][1] === "object"
  return { ...Object.fromEntries(entries), ...(isAnyObject ? { additionalProperties: true } : {}) }
}

const plainOr = (owner: string, value: unknown): unknown => (Predicate.isObject(value) ? plain(owner, value) : value)

const plainValue = (owner: string, value: unknown): Json => (Predicate.isObject(value) ? plain(owner, value) : {})

const refusalSchema = {
  type: "object",
  properties: { detail: { type: "string", ...Descriptions.fields["detail"] } },
  required: ["detail"]
}

// ---------------------------------------------------------------------------------------------------------------------
// Responses
// ---------------------------------------------------------------------------------------------------------------------

const refusal = (description: string): OpenApi.OpenApiSpecResponse => ({
  description,
  content: { "application/json": { schema: { $ref: "#/components/schemas/Refusal" } } }
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
      "To a request with Accept: text/event-stream. One frame per event as it happens, with its number as the id, its type as the event and itself as the data; then the event done, with the JSON answer less its events, or the event error, with {status, body} as they would have been. With Last-Event-ID and the same Idempotency-Key, the frames after that number; the event gap, with {after, next}, is in place of those that are not kept any more.",
    examples: [
      'id: 1\nevent: text\ndata: {"type":"text","content":"Hello."}\n\nevent: done\ndata: {"ok":true,"session_id":"…","turn_index":1,"stop_reason":"end_turn","duration_ms":12}\n\n'
    ]
  }
} as const

const header = (description: string): OpenApi.OpenAPISpecHeader => ({
  description,
  required: true,
  schema: { type: "string" }
})

const requestId = { "X-Request-Id": header("The request's X-Request-Id, or a new id") }
const retryAfter = {
  "Retry-After": { ...header("Seconds to wait before the next try"), schema: { type: "integer", minimum: 0 } }
}

/** The headers of every response with a status, in addition to the request's id. */
const headersOf: Readonly<Record<number, Record<string, OpenApi.OpenAPISpecHeader>>> = {
  401: { "WWW-Authenticate": header("Bearer") },
  429: retryAfter,
  503: retryAfter
}

const contentOf = (content: OpenApi.OpenApiSpecContent): OpenApi.OpenApiSpecContent =>
  Record.map(content, ({ schema, ...media }) => ({ ...media, schema: plain("", schema) }))

const response = (
  { content, description }: OpenApi.OpenApiSpecResponse,
  status: string
): OpenApi.OpenApiSpecResponse => ({
  // Effect would say the name of its schema.
  description: status === "200" ? "It succeeded" : description,
  headers: { ...requestId, ...headersOf[Number(status)] },
  ...(content === undefined ? {} : { content: contentOf(content) })
})

// ---------------------------------------------------------------------------------------------------------------------
// Operations
// ---------------------------------------------------------------------------------------------------------------------

/** A parameter of a query is text to the server; its description has the type of what the text is. */
const parameter = (one: OpenApi.OpenAPISpecParameter): OpenApi.OpenAPISpecParameter => {
  const { description = "", ...typed } = Descriptions.parameters[one.name] ?? {}
  return { ...one, description, schema: Object.keys(typed).length === 0 ? one.schema : typed }
}

const withRefusals = (operation: Operation, more: Operation["responses"] = {}): Operation => ({
  ...operation,
  parameters: operation.parameters.map(parameter),
  ...(operation.requestBody === undefined
    ? {}
    : { requestBody: { ...operation.requestBody, content: contentOf(operation.requestBody.content) } }),
  responses: Record.map({ ...always, ...more, ...operation.responses }, response)
})

/** The operations that can be read as an event stream. */
const streamed = new Set(["sendTurn", "runPrompt"])

const withEventStream = (operation: Operation): Operation => {
  const done = operation.responses[200]
  if (!streamed.has(operation.operationId) || done === undefined) return operation
  const content = { ...done.content, "text/event-stream": eventStream }
  return { ...operation, responses: { ...operation.responses, 200: { ...done, content } } }
}

const complete = ({ delete: remove, get, post, put }: OpenApi.OpenAPISpecPathItem): OpenApi.OpenAPISpecPathItem => ({
  ...(get === undefined ? {} : { get: withRefusals(get) }),
  ...(post === undefined ? {} : { post: withEventStream(withRefusals(post, shuttingDown)) }),
  ...(put === undefined ? {} : { put: withRefusals(put) }),
  ...(remove === undefined ? {} : { delete: withRefusals(remove) })
})

const declared = OpenApi.fromApi(Api)

const schemas = Object.fromEntries(
  Object.entries(declared.components.schemas).map(([name, schema]) => [
    plainName(name),
    plainValue(plainName(name), schema)
  ])
)

export const document: OpenApi.OpenAPISpec = {
  ...declared,
  paths: Record.map(declared.paths, complete),
  components: { ...declared.components, schemas: { ...schemas, Refusal: refusalSchema } }
}
