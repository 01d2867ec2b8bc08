/**
 * The OpenAPI document as a page for people. It has no script and loads nothing.
 */
import { Predicate } from "effect"
import type { OpenApi } from "effect/http-api"

type Json = { readonly [keyword: string]: unknown }

const escape = (text: string) =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;")

/** The text of a description, whose only markup is code in backticks. */
const prose = (text: unknown) =>
  typeof text === "string" ? escape(text).replaceAll(/`([^`]+)`/g, "<code>$1</code>") : ""

const code = (value: unknown) => `<code>${escape(typeof value === "string" ? value : JSON.stringify(value))}</code>`

const objectsIn = (value: unknown): ReadonlyArray<Json> =>
  Array.isArray(value) ? value.filter(Predicate.isObject) : []

const propertiesOf = ({ properties }: Json): ReadonlyArray<readonly [string, Json]> =>
  Predicate.isObject(properties)
    ? Object.entries(properties).map(([name, field]: [string, unknown]) => [
        name,
        Predicate.isObject(field) ? field : {}
      ])
    : []

const isRequired = ({ required }: Json, name: string) => Array.isArray(required) && required.includes(name)

const range = (low: unknown, high: unknown): string => {
  if (low === undefined) return high === undefined ? "" : `, ${JSON.stringify(high)} at most`
  return high === undefined
    ? `, ${JSON.stringify(low)} at least`
    : `, ${JSON.stringify(low)} to ${JSON.stringify(high)}`
}

const limits = ({ default: byDefault, maximum, minLength, minimum, pattern }: Json): string =>
  [
    range(minimum, maximum),
    minLength === undefined ? "" : `, ${JSON.stringify(minLength)} character at least`,
    pattern === undefined ? "" : `, ${code(pattern)}`,
    byDefault === undefined ? "" : `, ${code(byDefault)} by default`
  ].join("")

/** What a value may be, in words. */
const typeOf = (schema: Json): string => {
  const { anyOf, enum: values, format, items, type, $ref } = schema
  if (typeof $ref === "string") {
    const name = $ref.split("/").at(-1) ?? ""
    return `<a href="#${escape(name)}">${escape(name)}</a>`
  }
  if (Array.isArray(anyOf)) return objectsIn(anyOf).map(typeOf).join(" or ") + limits(schema)
  if (Array.isArray(values)) return values.map(code).join(" or ")
  if (type === "array") return `list${Predicate.isObject(items) ? ` of ${typeOf(items)}` : ""}`
  if (format === "binary") return "file"
  return (typeof type === "string" ? type : "anything") + limits(schema)
}

/** The fields of a schema, those of its lists and objects below them. */
const rowsOf = (schema: Json, above = ""): ReadonlyArray<ReadonlyArray<string>> =>
  propertiesOf(schema).flatMap(([name, field]) => {
    const path = above + name
    const mark = isRequired(schema, name) ? " <em>required</em>" : ""
    const inner = [field, field["items"], ...objectsIn(field["anyOf"])].filter(Predicate.isObject)
    return [
      [code(path) + mark, typeOf(field), prose(field["description"])],
      ...inner.flatMap((one) => rowsOf(one, `${path}${one === field["items"] ? "[]" : ""}.`))
    ]
  })

const table = (heads: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>) =>
  rows.length === 0
    ? ""
    : `<table><thead><tr>${heads.map((head) => `<th>${head}</th>`).join("")}</tr></thead><tbody>
${rows.map((row) => `<tr>${row.map((cell, at) => `<td data-head="${heads[at]}">${cell}</td>`).join("")}</tr>`).join("\n")}
</tbody></table>`

const fields = (schema: Json) => table(["Field", "Type", "What it is"], rowsOf(schema))

const contentOf = (content: OpenApi.OpenApiSpecContent = {}) =>
  Object.entries(content)
    .map(([type, { schema }]) => `${code(type)} ${prose(schema["description"]) || typeOf(schema)}`)
    .join("<br>")

/** The fields of a body, which is one of the named schemas. */
const bodyOf = (content: OpenApi.OpenApiSpecContent, schemas: Readonly<Record<string, Json>>) =>
  Object.values(content).map(({ schema }) => fields(schemas[String(schema["$ref"]).split("/").at(-1) ?? ""] ?? schema))

const parametersOf = ({ parameters }: OpenApi.OpenAPISpecOperation) =>
  table(
    ["Parameter", "Type", "What it is"],
    parameters.map(({ description, in: place, name, required, schema }) => [
      `${code(name)} <small>${place}</small>${required ? " <em>required</em>" : ""}`,
      typeOf({ ...schema }),
      prose(description)
    ])
  )

const answersOf = ({ responses }: OpenApi.OpenAPISpecOperation) =>
  table(
    ["Status", "When", "Body", "Headers"],
    Object.entries<OpenApi.OpenApiSpecResponse>(responses).map(([status, { content, description, headers = {} }]) => [
      `<b>${status}</b>`,
      prose(description).replaceAll(" | ", "<br>"),
      contentOf(content),
      // The page says once that every answer has an id.
      Object.keys(headers)
        .filter((name) => name !== "X-Request-Id")
        .map((name) => `<code class="name">${name}</code>`)
        .join(" ")
    ])
  )

const verbs = ["get", "post", "put", "patch", "delete"] as const

const operationsOf = ({ paths }: OpenApi.OpenAPISpec, tag: string) =>
  Object.entries(paths).flatMap(([path, item]) =>
    verbs.flatMap((verb) => {
      const operation = item[verb]
      return operation?.tags.includes(tag) === true ? [{ path, method: verb.toUpperCase(), operation }] : []
    })
  )

const section =
  (schemas: Readonly<Record<string, Json>>) =>
  ({ method, operation, path }: ReturnType<typeof operationsOf>[number]) =>
    `<details id="${operation.operationId}">
<summary><b>${method}</b> <code>${escape(path)}</code> <span>${prose(operation.summary)}</span></summary>
<p>${prose(operation.description)}</p>
<p>Token: ${operation.security.flatMap((one) => Object.keys(one).map(code)).join(" or ") || "none"}</p>
${operation.parameters.length === 0 ? "" : `<h4>Parameters</h4>${parametersOf(operation)}`}
${operation.requestBody === undefined ? "" : `<h4>Body</h4><p>${contentOf(operation.requestBody.content)}</p>${bodyOf(operation.requestBody.content, schemas).join("")}`}
<h4>Answers</h4>
${answersOf(operation)}
</details>`

const schema = ([name, schema]: [string, Json]) => `<section id="${escape(name)}"><h3>${escape(name)}</h3>
${fields(schema) || `<p>${typeOf(schema)}</p>`}</section>`

const style = `
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --quiet: #777 }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 0 auto; padding: 1rem }
h2 { margin-top: 2.5rem } h4 { margin: 1rem 0 .25rem }
code { font: .9em ui-monospace, monospace; overflow-wrap: anywhere }
.name { white-space: nowrap }
details { border: 1px solid var(--line); border-radius: 6px; margin: .5rem 0; padding: 0 .75rem }
details[open] { padding-bottom: .75rem }
summary { cursor: pointer; padding: .5rem 0 } summary b { display: inline-block; min-width: 4rem } summary span { color: var(--quiet) }
table { border-collapse: collapse; width: 100% } th, td { text-align: left; vertical-align: top; padding: .35rem .75rem .35rem 0; border-bottom: 1px solid var(--line) }
td { overflow-wrap: anywhere } em, small { color: var(--quiet); font-size: .8em }
section:target { background: var(--soft) }
@media (max-width: 40rem) {
  thead { display: none } table, tbody, tr, td { display: block } tr { border-bottom: 1px solid var(--line); padding: .5rem 0 }
  td { border: 0; padding: .1rem 0 } td:empty { display: none }
  td::before { content: attr(data-head) ": "; color: var(--quiet); font-size: .8em } td:first-child::before { content: "" }
}`

/** The page of a document, which is at a path beside it. */
export const render = (spec: OpenApi.OpenAPISpec, documentPath: string) => `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(spec.info.title)}</title>
<style>${style}</style>
<h1>${escape(spec.info.title)} ${escape(spec.info.version)}</h1>
<p>${prose(spec.info.description)}</p>
<p>A token goes into the header <code>Authorization: Bearer cf_…</code>. The same as an OpenAPI document, from which clients can be generated: <a href="${documentPath}">${documentPath}</a>.</p>
${spec.tags
  .map(
    ({ description, name }) => `<h2>${escape(name)}</h2>
<p>${prose(description)}</p>
${operationsOf(spec, name).map(section(spec.components.schemas)).join("\n")}`
  )
  .join("\n")}
<h2>Schemas</h2>
${Object.entries(spec.components.schemas)
  .toSorted(([a], [b]) => a.localeCompare(b))
  .map(schema)
  .join("\n")}
</html>
`
