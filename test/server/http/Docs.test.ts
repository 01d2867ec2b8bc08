import { assert, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { Api } from "../../../src/api/Api.ts"
import * as Descriptions from "../../../src/api/Descriptions.ts"
import * as EventKinds from "../../../src/wire/EventKinds.ts"
import { call, serve } from "../Support.ts"

class Server extends Context.Service<Server, { readonly url: string }>()("test/Server") {
  static readonly layer = Layer.effect(Server, serve())
}

interface Schema {
  readonly [keyword: string]: unknown
  readonly $ref?: string
  readonly anyOf?: ReadonlyArray<Schema>
}

interface Operation {
  readonly operationId: string
  readonly summary?: string
  readonly description?: string
  readonly tags: ReadonlyArray<string>
  readonly security: ReadonlyArray<Record<string, unknown>>
  readonly parameters: ReadonlyArray<{ readonly name: string; readonly description?: string; readonly schema: Schema }>
  readonly responses: Record<string, { readonly content?: Record<string, unknown> }>
}

interface Spec {
  readonly info: { readonly description?: string; readonly license: { readonly name: string } }
  readonly servers: ReadonlyArray<unknown>
  readonly tags: ReadonlyArray<{ readonly name: string; readonly description: string }>
  readonly paths: Record<string, Record<string, Operation>>
  readonly components: {
    readonly schemas: Record<string, Schema>
    readonly securitySchemes: Record<string, unknown>
  }
}

const spec = Effect.gen(function* () {
  const { url } = yield* Server
  return JSON.parse((yield* call(`${url}/openapi.json`, "GET")).text) as Spec
})

const operationsIn = (paths: Spec["paths"]) => Object.values(paths).flatMap((operations) => Object.values(operations))

/** Every field of the schemas, by the name of the schema or field around it and its own. */
const fieldsIn = (schemas: Record<string, unknown>): ReadonlyArray<readonly [string, Schema]> => {
  const found: Array<readonly [string, Schema]> = []
  const visit = (owner: string, value: unknown) => {
    if (typeof value !== "object" || value === null) return
    for (const [keyword, inner] of Object.entries(value)) {
      if (keyword !== "properties") {
        visit(owner, inner)
        continue
      }
      for (const [name, field] of Object.entries<Schema>(inner)) {
        found.push([`${owner}.${name}`, field])
        visit(name, field)
      }
    }
  }
  for (const [name, schema] of Object.entries(schemas)) visit(name, schema)
  return found
}

it.layer(Server.layer, { excludeTestServices: true })("the contract as documentation", (it) => {
  it.effect("/openapi.json has every endpoint", () =>
    Effect.gen(function* () {
      const { url } = yield* Server
      const answer = yield* call(`${url}/openapi.json`, "GET")
      assert.strictEqual(answer.status, 200)
      const { paths } = JSON.parse(answer.text)
      const endpoints = Object.values(Api.groups).flatMap((group) => Object.values(group.endpoints))
      assert.isAbove(endpoints.length, 10)
      for (const { method, path } of endpoints) {
        assert.property(paths[path.replace(/:([a-z]+)/g, "{$1}")], method.toLowerCase(), path)
      }
      assert.include(answer.text, "session is closed")
    })
  )

  it.effect("/openapi.json has the refusals of each endpoint, and the event streams of turns and runs", () =>
    Effect.gen(function* () {
      const { url } = yield* Server
      const { paths } = JSON.parse((yield* call(`${url}/openapi.json`, "GET")).text)
      for (const [path, method, refusals] of [
        ["/healthz", "get", "400 403 421 431"],
        ["/sessions", "get", "400 401 403 421 422 429 431 503"],
        ["/sessions", "post", "400 401 403 413 421 422 429 431 502 503"],
        ["/sessions/{id}", "delete", "400 401 403 404 421 422 431 503"],
        ["/sessions/{id}/turn", "post", "400 401 403 404 410 413 421 422 429 431 502 503"],
        ["/run", "post", "400 401 403 404 413 421 422 429 431 502 503"],
        ["/files", "post", "400 401 403 413 421 422 429 431 503"],
        ["/admin/tokens", "post", "400 401 403 409 413 421 422 431 503"]
      ] as const) {
        const statuses = Object.keys(paths[path][method].responses)
        assert.strictEqual(statuses.join(" "), `200 ${refusals}`, `${method} ${path}`)
      }
      const { responses } = paths["/sessions/{id}/turn"].post
      for (const [status, ...headers] of [
        [200],
        [401, "WWW-Authenticate"],
        [429, "Retry-After"],
        [503, "Retry-After"]
      ] as const) {
        assert.hasAllKeys(responses[status].headers, ["X-Request-Id", ...headers], String(status))
      }
      for (const path of ["/run", "/sessions/{id}/turn"]) {
        const { parameters, responses } = paths[path].post
        assert.hasAllKeys(responses[200].content, ["application/json", "text/event-stream"], path)
        const names = parameters.map((parameter: { readonly name: string }) => parameter.name)
        assert.includeMembers(names, ["idempotency-key", "last-event-id"], path)
      }
      for (const path of ["/sessions", "/run", "/sessions/{id}/turn", "/sessions/{id}/cancel"]) {
        const { parameters } = paths[path].post
        const key = parameters.find((parameter: { readonly in: string }) => parameter.in === "header")
        assert.deepInclude(key, { name: "idempotency-key", required: false }, path)
      }
    })
  )

  it.effect("/openapi.json describes every answer in words", () =>
    Effect.gen(function* () {
      const { url } = yield* Server
      const { paths } = JSON.parse((yield* call(`${url}/openapi.json`, "GET")).text)
      for (const [path, operations] of Object.entries<object>(paths)) {
        for (const { responses } of Object.values(operations)) {
          for (const [status, { description }] of Object.entries<{ description: string }>(responses)) {
            assert.match(description, /^[A-Z][^/]+$/, `${path} ${status}`)
          }
        }
      }
      const { description } = paths["/sessions/{id}/turn"].post.responses[503]
      assert.include(description, "The server has reached its limit of open sessions, or has no process for an agent")
    })
  )

  it.effect("/openapi.json names and describes each operation, parameter and field in plain words", () =>
    Effect.gen(function* () {
      const { components, info, paths, servers, tags } = yield* spec
      assert.isNotEmpty(info.description)
      assert.strictEqual(info.license.name, "MIT")
      assert.lengthOf(servers, 1)
      const described = new Set(tags.filter(({ description }) => description !== "").map(({ name }) => name))
      const ids = operationsIn(paths).map(({ operationId }) => operationId)
      assert.includeMembers(ids, ["openSession", "sendTurn", "uploadFile", "closeSession", "listSessions", "runPrompt"])
      assert.strictEqual(new Set(ids).size, ids.length)
      for (const { description, operationId, parameters, security, summary, tags } of operationsIn(paths)) {
        assert.match(operationId, /^[a-z]+[A-Z][A-Za-z]+$/)
        assert.isNotEmpty(summary, operationId)
        assert.isNotEmpty(description, operationId)
        assert.isTrue(described.has(tags[0] ?? ""), operationId)
        for (const [name] of security.flatMap(Object.entries)) assert.property(components.securitySchemes, name)
        for (const one of parameters) assert.isNotEmpty(one.description, `${operationId} ${one.name}`)
      }
      for (const name of Object.keys(components.schemas)) assert.match(name, /^[A-Z][A-Za-z]+$/)
      for (const [at, field] of fieldsIn(components.schemas)) assert.isNotEmpty(field["description"], at)
      const refs = JSON.stringify(paths).match(/(?<="\$ref":"#\/components\/schemas\/)[^"]+/g) ?? []
      assert.isNotEmpty(refs)
      for (const name of refs) assert.property(components.schemas, name)
    })
  )

  it.effect("/openapi.json shows every description that there is", () =>
    Effect.gen(function* () {
      const { components, paths } = yield* spec
      const parameters = operationsIn(paths).flatMap(({ parameters }) => parameters.map(({ name }) => name))
      assert.sameMembers([...new Set(parameters)], Object.keys(Descriptions.parameters))
      const shown = new Set(fieldsIn(components.schemas).map(([, { description }]) => description))
      for (const [name, { description }] of Object.entries(Descriptions.fields))
        assert.include(shown, description, name)
    })
  )

  it.effect("/openapi.json has the types and limits of the contract", () =>
    Effect.gen(function* () {
      const { components, paths } = yield* spec
      const fields = Object.fromEntries(fieldsIn(components.schemas))
      assert.deepInclude(fields["TurnRequest.prompt"], { type: "string", minLength: 1, pattern: "\\S" })
      assert.deepInclude(fields["UploadForm.file"], { type: "string", format: "binary" })
      assert.deepInclude(fields["UploadForm.ttl_secs"], { type: "integer", minimum: 60, maximum: 86_400 })
      assert.deepInclude(fields["TokenRequest.name"], { pattern: "^[a-z0-9_-]{1,64}$" })
      assert.deepInclude(fields["SessionOpened.session_id"], { pattern: "^[A-Za-z0-9_-]{1,128}$" })
      assert.deepInclude(fields["RunRequest.timeout_secs"], { minimum: 5 })
      assert.deepInclude(fields["SessionRequest.meta"], {
        anyOf: [{ type: "object", additionalProperties: true }, { type: "null" }]
      })
      assert.deepInclude(fields["Turn.events"], { type: "array", items: { $ref: "#/components/schemas/TurnEvent" } })

      const kindsOf = ({ anyOf }: Schema = {}) =>
        (anyOf ?? []).map(({ $ref }) => fields[`${$ref?.split("/").at(-1)}.type`]?.["enum"] ?? "any")
      assert.sameDeepMembers(kindsOf(components.schemas["TurnEvent"]), [
        ...Object.keys(EventKinds.kinds).map((kind) => [kind]),
        ["late"],
        "any"
      ])

      const typeOf = (operationId: string, name: string) =>
        operationsIn(paths)
          .find((one) => one.operationId === operationId)
          ?.parameters.find((one) => one.name === name)?.schema
      assert.deepStrictEqual(typeOf("listSessions", "include_closed"), { type: "boolean", default: true })
      assert.deepStrictEqual(typeOf("runPrompt", "usage"), { type: "boolean", default: false })
      const ttl = { type: "integer", minimum: 60, maximum: 86_400, default: 3600 }
      assert.deepStrictEqual(typeOf("uploadFile", "ttl_secs"), ttl)
      assert.deepInclude(typeOf("listSessionEvents", "after"), { type: "integer", minimum: 0 })
      // Both sides ignore what they do not know.
      assert.notInclude(JSON.stringify({ components, paths }), `"additionalProperties":false`)
    })
  )

  it.effect("whatever is text says that it is UTF-8", () =>
    Effect.gen(function* () {
      const { url } = yield* Server
      const { headers } = yield* call(`${url}/openapi.json`, "GET")
      assert.match(headers.get("content-type") ?? "", /^application\/json/)
      const { paths } = yield* spec
      const types = operationsIn(paths).flatMap(({ responses }) =>
        Object.values(responses).flatMap(({ content }) => Object.keys(content ?? {}))
      )
      for (const type of types)
        assert.match(type, /^application\/(json|octet-stream)$|^text\/event-stream$|; charset=utf-8$/)
    })
  )

  it.effect("/docs explains everything in words and tables, without a script, and loads nothing", () =>
    Effect.gen(function* () {
      const { url } = yield* Server
      const { headers, status, text } = yield* call(`${url}/docs`, "GET")
      assert.strictEqual(status, 200)
      assert.strictEqual(headers.get("content-type"), "text/html; charset=utf-8")
      assert.match(headers.get("content-security-policy") ?? "", /^default-src 'none'; /)
      assert.notMatch(text, /<(script|link|img|iframe|object|embed)\b|\b(src|srcset)=|@import|url\(|https?:\/\//i)
      // Words and tables, also on the screen of a phone, and no dump of the document.
      assert.notInclude(text, "<pre>")
      assert.notInclude(text, "{&quot;type&quot;")
      assert.include(text, '<meta name="viewport" content="width=device-width')
      const { components, paths, tags } = yield* spec
      const shown = (description = "") => description.replaceAll(/[`&"<>]/g, "")
      const said = text.replaceAll(/<[^>]+>|&\w+;/g, "")
      for (const { description, operationId, parameters, summary } of operationsIn(paths)) {
        assert.include(text, `<details id="${operationId}">`)
        for (const words of [summary, description, ...parameters.map(({ description }) => description)]) {
          assert.include(said, shown(words), operationId)
        }
      }
      for (const { description } of tags) assert.include(said, shown(description))
      for (const [name, schema] of Object.entries(components.schemas)) {
        assert.include(text, `id="${name}"`)
        for (const [at, { description }] of fieldsIn({ [name]: schema })) {
          assert.include(said, shown(String(description)), at)
        }
      }
      for (const path of ["/sessions/{id}/turn", "/run", "/files", "/admin/tokens/{name}"]) assert.include(text, path)
      for (const name of ["idempotency-key", "X-Request-Id", "Retry-After"]) assert.include(text, name)
    })
  )

  it.effect("the documentation is read-only", () =>
    Effect.gen(function* () {
      const { url } = yield* Server
      for (const path of ["/docs", "/openapi.json", "/readyz", "/metrics"]) {
        const answer = yield* call(url + path, "POST")
        assert.deepStrictEqual([answer.status, answer.text], [405, '{"detail":"Method Not Allowed"}'], path)
        assert.strictEqual(answer.headers.get("allow"), "GET, HEAD")
      }
    })
  )
})
