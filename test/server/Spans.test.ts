/**
 * The spans of a server: they join the caller's trace, and have the id of the request.
 */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, FileSystem, Option, Redacted, type Tracer } from "effect"
import { inspect } from "node:util"
import * as DemoAgent from "../../src/agent/DemoAgent.ts"
import { Forge } from "../../src/index.ts"
import * as NodeForgeClient from "../../src/node/NodeForgeClient.ts"
import * as ForgeServer from "../../src/server/ForgeServer.ts"
import { eventually } from "../support/Eventually.ts"
import * as Recorder from "../support/Recorder.ts"
import { openStream, serve } from "./Support.ts"

const traceId = "0af7651916cd43dd8448eb211c80319c"
const parentId = "b7ad6b7169203331"
const traceparent = `00-${traceId}-${parentId}-01`
const adminToken = "the-admin-token-of-this-test-0123456789"

/** A server whose spans are recorded, and an app of it. */
const make = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const recorder = Recorder.make()
  const server = yield* Effect.provide(
    serve({
      data: yield* fs.makeTempDirectoryScoped(),
      keyedCallLinger: 0,
      adminToken: Redacted.make(adminToken)
    }),
    recorder.layer
  )
  const app = yield* server.mint("app")
  /** The spans of a request, once the last of them has ended. */
  const spansOf = (requestId: string, ended: string) =>
    Effect.sync(() =>
      recorder.spans.filter(({ attributes }) => attributes.get("clawdforge.request.id") === requestId)
    ).pipe(
      eventually(`the end of the span ${ended}`, (spans) =>
        spans.some(({ name, status }) => name === ended && status._tag === "Ended")
      )
    )
  return { admin: server.adopt(adminToken), app, recorder, spansOf, url: server.url }
}).pipe(Effect.provide(NodeFileSystem.layer))

const attributesOf = (span: Tracer.NativeSpan | undefined) => Object.fromEntries(span?.attributes ?? [])
const parentOf = (span: Tracer.Span | undefined) => Option.getOrUndefined(span?.parent ?? Option.none())?.spanId
const named = (spans: ReadonlyArray<Tracer.NativeSpan>, name: string) => spans.find((span) => span.name === name)

/** All that an exporter could send of a span, its failure included. */
const printed = ({ attributes, events, name, status }: Tracer.NativeSpan) => {
  const failures =
    status._tag === "Ended" && Exit.isFailure(status.exit)
      ? [status.exit, Cause.pretty(status.exit.cause), Cause.prettyErrors(status.exit.cause)]
      : []
  const parts = [name, [...attributes], failures]
  const deep = { depth: 20, showHidden: true, maxStringLength: null }
  return [
    JSON.stringify(parts),
    inspect([parts, events], deep),
    inspect(parts, { ...deep, customInspect: false })
  ].join(" ")
}

const exitsOf = (spans: ReadonlyArray<Tracer.NativeSpan>, name: string) =>
  spans.flatMap((span) =>
    span.name === name && span.status._tag === "Ended" && Exit.isFailure(span.status.exit)
      ? Cause.prettyErrors(span.status.exit.cause).map(({ message }) => message)
      : []
  )

/** Where a span begins: the sweeper's spans are no request's. */
const rootOf = (span: Tracer.AnySpan): Tracer.AnySpan => {
  const parent = span._tag === "Span" ? Option.getOrUndefined(span.parent) : undefined
  return parent?._tag === "Span" ? rootOf(parent) : span
}
const isSwept = (span: Tracer.AnySpan) => {
  const root = rootOf(span)
  return root._tag === "Span" && root.name === "Sweeper.sweep"
}

/** From the request of a turn to the agent: each is the parent of the next. */
const chain = ["POST /sessions/:id/turn", "invoke_agent", "session/prompt"]

describe("the spans of a server", () => {
  it.live("a turn over a socket is one trace, from the client's turn to the agent's prompt", () =>
    Effect.gen(function* () {
      const { app, recorder, url } = yield* make
      const client = Recorder.make()
      yield* Forge.withSession({ agent: "demo" }, (session) => session.turn("/echo secret-prompt")).pipe(
        Effect.provide(NodeForgeClient.layer({ url, token: Redacted.make(app.token) })),
        Effect.provide(client.layer)
      )
      const turn = named(client.spans, "invoke_agent demo")
      assert.isDefined(turn)
      const request = client.spans.find((span) => parentOf(span) === turn?.spanId)
      const ofTrace = recorder.spans.filter((span) => span.traceId === turn?.traceId)
      const spans = chain.map((name) =>
        named(
          ofTrace.filter(({ name }) => name !== "POST /sessions"),
          name
        )
      )
      assert.deepStrictEqual(spans.map(parentOf), [request?.spanId, spans[0]?.spanId, spans[1]?.spanId])
      for (const secret of ["secret-prompt", app.token]) {
        for (const span of recorder.spans) assert.notInclude(printed(span), secret, span.name)
      }
    }).pipe(Effect.scoped)
  )

  it.live("a turn in this process is one trace, even where the server was built inside another span", () =>
    Effect.gen(function* () {
      const recorder = Recorder.make()
      yield* Forge.withSession({ agent: "demo" }, (session) => session.turn("/echo hello")).pipe(
        Effect.provide(ForgeServer.layerEmbedded({ agents: [DemoAgent.definition] })),
        Effect.withSpan("main"),
        Effect.provide(recorder.layer)
      )
      const close = named(recorder.spans, "SessionEngine.close")
      assert.strictEqual(parentOf(close), named(recorder.spans, "DELETE /sessions/:id")?.spanId)
      const expected = [
        "invoke_agent demo",
        "  POST /sessions/{id}/turn",
        "    POST /sessions/:id/turn",
        "      invoke_agent",
        "        acquire_process demo",
        "        session/prompt"
      ]
      const names = new Set(expected.map((line) => line.trim()))
      const lines = Recorder.tree(recorder.spans).filter((line) => names.has(line.trim()))
      const turn = lines.findIndex((line) => line.trim() === "invoke_agent demo")
      const indent = lines[turn]?.search(/\S/) ?? 0
      assert.deepStrictEqual(
        lines.slice(turn, turn + expected.length).map((line) => line.slice(indent)),
        expected
      )
    })
  )

  it.live("each span has the request's id and OpenTelemetry's attributes, and no URL", () =>
    Effect.gen(function* () {
      const { app, spansOf } = yield* make
      const { id } = yield* app.open
      yield* app.request("POST", `/sessions/${id}/turn?token=canary`, {
        body: { prompt: "/echo hello" },
        headers: { traceparent, "x-request-id": "r-1" }
      })
      const spans = yield* spansOf("r-1", "POST /sessions/:id/turn")
      assert.deepStrictEqual(new Set(spans.map((span) => span.traceId)), new Set([traceId]))
      const [request, turn, prompt] = chain.map((name) => named(spans, name))
      assert.strictEqual(parentOf(request), parentId)
      assert.strictEqual(request?.kind, "server")
      assert.deepStrictEqual(attributesOf(request), {
        "http.request.method": "POST",
        "http.route": "/sessions/:id/turn",
        "clawdforge.request.id": "r-1",
        "http.response.status_code": 200
      })
      assert.deepStrictEqual(attributesOf(turn), {
        "clawdforge.request.id": "r-1",
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.provider.name": "clawdforge",
        "gen_ai.agent.name": "demo",
        "gen_ai.conversation.id": id
      })
      assert.strictEqual(prompt?.kind, "client")
      assert.deepStrictEqual(attributesOf(prompt), {
        "clawdforge.request.id": "r-1",
        "rpc.system.name": "jsonrpc",
        "rpc.method": "session/prompt",
        "gen_ai.agent.name": "demo"
      })
    }).pipe(Effect.scoped)
  )

  it.live("all that an endpoint does is in the trace of its request and has the request's id", () =>
    Effect.gen(function* () {
      const { admin, app, recorder, spansOf } = yield* make
      const { id } = yield* app.open
      const form = '--b\r\ncontent-disposition: form-data; name="file"; filename="a.txt"\r\n\r\nx\r\n--b--\r\n'
      const demo = { agent: "demo" }
      const prompt = { prompt: "/echo hi" }
      const sql = "sqlite"
      const calls: ReadonlyArray<
        readonly [route: string, path: string, contains: string | undefined, body?: unknown, from?: typeof app]
      > = [
        ["GET /healthz", "/healthz", undefined],
        ["GET /readyz", "/readyz", sql],
        ["POST /sessions", "/sessions", "SessionEngine.open", demo],
        ["GET /sessions", "/sessions", sql],
        ["GET /sessions/:id", `/sessions/${id}`, sql],
        ["GET /sessions/:id/events", `/sessions/${id}/events`, sql],
        ["POST /sessions/:id/turn", `/sessions/${id}/turn`, "invoke_agent", prompt],
        ["POST /sessions/:id/cancel", `/sessions/${id}/cancel`, "SessionEngine.cancel"],
        ["POST /files", "/files", "Uploads.add", form],
        ["POST /run", "/run", "Runs.run", prompt],
        ["DELETE /sessions/:id", `/sessions/${id}`, "SessionEngine.close"],
        ["POST /admin/tokens", "/admin/tokens", "AppTokens.mint", { name: "other" }, admin],
        ["GET /admin/tokens", "/admin/tokens", sql, undefined, admin],
        ["DELETE /admin/tokens/:name", "/admin/tokens/other", "AppTokens.remove", undefined, admin],
        ["GET /metrics", "/metrics", undefined, undefined, admin]
      ]
      for (const [index, [route, path, contains, body, from = app]] of calls.entries()) {
        const before = recorder.spans.length
        const requestId = `request-${index}`
        const type = body === form ? "multipart/form-data; boundary=b" : "application/json"
        const headers = { traceparent, "x-request-id": requestId, "content-type": type }
        const method = route.slice(0, route.indexOf(" "))
        const { status, text } = yield* from.request(method, path, { body, headers })
        assert.strictEqual(status, 200, `${route}: ${text}`)
        yield* spansOf(requestId, route)
        const spans = recorder.spans.slice(before).filter((span) => !isSwept(span))
        if (contains !== undefined) assert.isDefined(named(spans, contains), `${route} has ${contains}`)
        const strays = spans.filter(
          (span) => span.traceId !== traceId || span.attributes.get("clawdforge.request.id") !== requestId
        )
        assert.deepStrictEqual(
          strays.map(({ name }) => `${route}: ${name}`),
          []
        )
      }
    }).pipe(Effect.scoped)
  )

  it.live("a failed span has the kind of the failure and the stop reason, and no text of a prompt or an agent", () =>
    Effect.gen(function* () {
      const { app, recorder, spansOf } = yield* make
      const { id } = yield* app.open
      const canary = { prompt: "/fail CANARY" }
      const turn = `/sessions/${id}/turn`
      const calls: ReadonlyArray<
        readonly [route: string, path: string, status: number, body: unknown, headers?: Record<string, string>]
      > = [
        ["POST /sessions/:id/turn", turn, 502, canary],
        ["POST /sessions/:id/turn", turn, 502, canary, { "idempotency-key": "k" }],
        ["POST /sessions/:id/turn", turn, 502, canary, { accept: "text/event-stream" }],
        ["POST /run", "/run", 502, canary],
        ["POST /run", "/run", 422, { prompt: "/echo CANARY", model: "CANARY" }],
        ["POST /sessions", "/sessions", 422, { agent: "demo", model: "CANARY" }]
      ]
      for (const [index, [route, path, status, body, headers]] of calls.entries()) {
        const requestId = `request-${index}`
        const answer = yield* app.request("POST", path, { body, headers: { ...headers, "x-request-id": requestId } })
        assert.strictEqual(answer.status, status, answer.text)
        assert.include(answer.text, "CANARY")
        yield* spansOf(requestId, route)
      }
      for (const span of recorder.spans) assert.notInclude(printed(span), "CANARY", span.name)
      assert.deepStrictEqual(exitsOf(recorder.spans, "session/prompt"), Array(4).fill("AgentFailed: error"))
      assert.deepStrictEqual(exitsOf(recorder.spans, "invoke_agent"), Array(3).fill("RunFailed: error"))
      assert.deepStrictEqual(exitsOf(recorder.spans, "Runs.run"), ["RunFailed: error", "Invalid"])
      assert.deepStrictEqual(exitsOf(recorder.spans, "SessionEngine.open"), ["Invalid"])
      assert.deepStrictEqual(exitsOf(recorder.spans, "acquire_process demo"), Array(2).fill("AgentOptionRefused"))
    }).pipe(Effect.scoped)
  )

  it.live("creating a session has a span for the wait for a process, and a run has one for its prompt too", () =>
    Effect.gen(function* () {
      const { app, spansOf } = yield* make
      const headers = (requestId: string) => ({ traceparent, "x-request-id": requestId })
      yield* app.request("POST", "/sessions", { body: { agent: "demo" }, headers: headers("create") })
      yield* app.request("POST", "/run", { body: { prompt: "/echo hello" }, headers: headers("run") })
      const created = yield* spansOf("create", "POST /sessions")
      const ran = yield* spansOf("run", "POST /run")
      for (const spans of [created, ran]) {
        assert.isDefined(named(spans, "acquire_process demo"))
        assert.deepStrictEqual(new Set(spans.map((span) => span.traceId)), new Set([traceId]))
      }
      assert.isDefined(named(ran, "session/prompt"))
    }).pipe(Effect.scoped)
  )

  it.live("a keyed call that outlives its connection stays in the trace of the request that started it", () =>
    Effect.gen(function* () {
      const { app, spansOf } = yield* make
      const { id } = yield* app.open
      const first = yield* Effect.forkChild(
        app.request("POST", `/sessions/${id}/turn`, {
          body: { prompt: "/wait" },
          headers: { traceparent, "x-request-id": "first", "idempotency-key": "k" }
        })
      )
      yield* app.turns(id, 1)
      yield* Fiber.interrupt(first)
      const spans = yield* spansOf("first", "invoke_agent")
      const [request, turn, prompt] = chain.map((name) => named(spans, name))
      assert.deepStrictEqual(
        [request, turn, prompt].map((span) => span?.traceId),
        [traceId, traceId, traceId]
      )
      assert.deepStrictEqual([turn, prompt].map(parentOf), [request?.spanId, turn?.spanId])
    }).pipe(Effect.scoped)
  )

  it.live("the span of a streamed response ends with the stream", () =>
    Effect.gen(function* () {
      const { app, recorder, spansOf } = yield* make
      const { id } = yield* app.open
      const answer = yield* openStream(app, `/sessions/${id}/turn`, {
        body: { prompt: "/wait" },
        headers: { traceparent, "x-request-id": "stream" }
      })
      yield* answer.next
      const open = recorder.spans.filter(({ traceId: id }) => id === traceId)
      assert.deepStrictEqual(
        chain.map((name) => named(open, name)?.status._tag),
        ["Started", "Started", "Started"]
      )
      yield* app.request("POST", `/sessions/${id}/cancel`)
      yield* answer.rest
      yield* spansOf("stream", "POST /sessions/:id/turn")
    }).pipe(Effect.scoped)
  )

  it.live("a missing or malformed traceparent starts a new trace, and a 5xx ends its span as failed", () =>
    Effect.gen(function* () {
      const { app, spansOf } = yield* make
      const { id } = yield* app.open
      for (const [requestId, headers] of [
        ["none", {}],
        ["malformed", { traceparent: `00-${traceId}-1-01` }]
      ] as const) {
        yield* app.request("POST", `/sessions/${id}/turn`, {
          body: { prompt: "/fail no luck" },
          headers: { ...headers, "x-request-id": requestId }
        })
        const request = named(yield* spansOf(requestId, "POST /sessions/:id/turn"), "POST /sessions/:id/turn")
        assert.isUndefined(parentOf(request))
        assert.deepInclude(attributesOf(request), { "http.response.status_code": 502, "error.type": "502" })
        assert.strictEqual(request?.status._tag === "Ended" ? request.status.exit._tag : undefined, "Failure")
      }
    }).pipe(Effect.scoped)
  )
})
