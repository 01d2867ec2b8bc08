/**
 * Programs over generated clients: a file, a session with a turn about it, and its end. They hold no cast: that is what
 * they are here to show.
 */

/** Over the types of `openapi-typescript`, with `openapi-fetch`. */
export const openapiFetch = `
import createClient from "openapi-fetch"
import type { paths } from "./paths.ts"

const client = createClient<paths, "application/json">({
  baseUrl: process.env["FORGE_URL"] ?? "",
  headers: { authorization: \`Bearer \${process.env["FORGE_TOKEN"]}\` }
})

const health = await client.GET("/healthz")
if (health.data === undefined) throw new Error("no health")

const uploaded = await client.POST("/files", {
  body: { file: new Blob(["Buy milk."]), ttl_secs: 600 },
  bodySerializer: ({ file, ttl_secs }) => {
    const form = new FormData()
    form.append("file", file, "notes.txt")
    if (ttl_secs !== undefined) form.append("ttl_secs", String(ttl_secs))
    return form
  }
})
if (uploaded.error !== undefined) throw new Error(JSON.stringify(uploaded.error))

const opened = await client.POST("/sessions", {
  params: { header: { "idempotency-key": crypto.randomUUID() } },
  body: { agent: "demo", meta: { caller: "openapi", nested: { yes: true } } }
})
if (opened.error !== undefined) throw new Error(JSON.stringify(opened.error))
const path = { id: opened.data.session_id }

const turn = await client.POST("/sessions/{id}/turn", {
  params: { path },
  body: { prompt: "What is on the list?", files: [uploaded.data.file_token], timeout_secs: 60 }
})
if (turn.error !== undefined) throw new Error(JSON.stringify(turn.error))
const text = turn.data.events.map((event) => (event.type === "text" ? (event.content ?? "") : "")).join("")
if (!text.includes("Buy milk.")) throw new Error(text)

const listed = await client.GET("/sessions", { params: { query: { include_closed: false } } })
const meta = listed.data?.sessions[0]?.meta
if (meta?.["caller"] !== "openapi") throw new Error(JSON.stringify(listed))

const empty = await client.POST("/sessions/{id}/turn", { params: { path }, body: { prompt: " " } })
if (empty.response.status !== 422) throw new Error("an empty prompt was taken")

const closed = await client.DELETE("/sessions/{id}", { params: { path } })
if (closed.data?.ok !== true) throw new Error(JSON.stringify(closed.error))
console.log(\`turn \${turn.data.turn_index}: \${text.length} characters\`)
`

/** Over the client of `@hey-api/openapi-ts`. */
export const heyApi = `
import { client } from "./client/client.gen"
import { closeSession, getHealth, listSessions, openSession, sendTurn, uploadFile } from "./client"

client.setConfig({ baseUrl: process.env["FORGE_URL"] ?? "", auth: process.env["FORGE_TOKEN"] ?? "" })

const health = await getHealth({ throwOnError: true })
if (!health.data.ok) throw new Error("not well")

const uploaded = await uploadFile({
  body: { file: new File(["Buy milk."], "notes.txt"), ttl_secs: 600 },
  throwOnError: true
})

const opened = await openSession({
  headers: { "idempotency-key": crypto.randomUUID() },
  body: { agent: "demo", meta: { caller: "openapi", nested: { yes: true } } },
  throwOnError: true
})
const path = { id: opened.data.session_id }

const turn = await sendTurn({
  path,
  body: { prompt: "What is on the list?", files: [uploaded.data.file_token], timeout_secs: 60 },
  throwOnError: true
})
const text = turn.data.events.map((event) => (event.type === "text" ? (event.content ?? "") : "")).join("")
if (!text.includes("Buy milk.")) throw new Error(text)

const listed = await listSessions({ query: { include_closed: false }, throwOnError: true })
if (listed.data.sessions[0]?.meta?.["caller"] !== "openapi") throw new Error(JSON.stringify(listed.data))

const empty = await sendTurn({ path, body: { prompt: " " } })
if (empty.response?.status !== 422) throw new Error("an empty prompt was taken")

const closed = await closeSession({ path, throwOnError: true })
if (!closed.data.ok) throw new Error(JSON.stringify(closed.data))
console.log(\`turn \${turn.data.turn_index}: \${text.length} characters\`)
`

/** Writes the types of `openapi-typescript`, a file as a `Blob`, as its documentation shows it. */
export const generateTypes = `
import { writeFileSync } from "node:fs"
import openapiTS, { astToString } from "openapi-typescript"
import ts from "typescript"

const blob = ts.factory.createTypeReferenceNode("Blob")
const types = await openapiTS(new URL("./openapi.json", import.meta.url), {
  transform: ({ format }) => (format === "binary" ? blob : undefined)
})
writeFileSync("paths.ts", astToString(types))
`
