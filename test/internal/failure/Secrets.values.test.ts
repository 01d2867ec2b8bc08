import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Cause, ConfigProvider, Duration, Effect, Exit, Layer, Redacted, Schema, Stream } from "effect"
import * as Core from "../../../src/index.ts"
import * as Node from "../../../src/node/index.ts"
import { canaries, leaks, prints, printsOfCause, printsOfSpans } from "../../support/Canaries.ts"
import { echo, shapes } from "../../support/Echoes.ts"
import { calls as goodCalls } from "../../support/Operations.ts"
import * as Recorder from "../../support/Recorder.ts"
import { type Script, ScriptedServer, start, turn } from "../../support/ScriptedServer.ts"
import { calls, ofAdmin, ofModules, ofService, ofSession, options } from "../../support/Surface.ts"

const { ForgeAdmin, ForgeClient, ForgeError, Forge, Upload } = Core
const given = options("http://127.0.0.1:1")
const call = { operation: "Forge.run", method: "POST", path: "/run", requestId: "r-1" }
const secret = Redacted.make(canaries.stderr)
const nothing = new Uint8Array(1)
const sessionId = "s-1" as Core.SessionInfo.SessionId

const failed = new ForgeError.RunFailed({ error: "no", stderr: secret, duration: Duration.zero, stopReason: null })
const unexpected = new ForgeError.Unexpected({ status: 500, body: secret })
const apiError = new Core.ApiError({
  ...call,
  status: 502,
  message: "no",
  outcome: "acted",
  reason: failed,
  retryAfter: undefined
})
const transportError = new Core.TransportError({
  ...call,
  message: "no",
  outcome: "unknown",
  reason: new ForgeError.Reset({ code: "ECONNRESET" })
})
const authError = new Core.AuthError({ ...call, status: 401, message: "no" })
const closed = new Core.SessionClosed({ sessionId, by: "client" })
const turnParts = { sessionId, index: 1, events: [], stopReason: null, duration: Duration.zero }

/** Every export that is not a call, with sample values where it handles a secret. */
const samples: Readonly<Record<string, ReadonlyArray<unknown>>> = {
  ApiError: [apiError],
  AuthError: [authError],
  SessionClosed: [closed],
  TransportError: [transportError],
  "ForgeAdmin.ForgeAdmin": [],
  "ForgeAdmin.make": [ForgeAdmin.make(given.admin)],
  "ForgeAdmin.layer": [ForgeAdmin.layer(given.admin)],
  "ForgeAdmin.layerConfig": [],
  "ForgeClient.ForgeClient": [],
  "ForgeClient.make": [ForgeClient.make(given.client)],
  "ForgeClient.layer": [ForgeClient.layer(given.client)],
  "ForgeClient.layerConfig": [],
  "ForgeError.ApiError": [],
  "ForgeError.AuthError": [],
  "ForgeError.Connect": [],
  "ForgeError.FileChanged": [],
  "ForgeError.Invalid": [],
  "ForgeError.Malformed": [],
  "ForgeError.NotFound": [],
  "ForgeError.OutputMismatch": [new ForgeError.OutputMismatch({ attempts: [{ text: secret, error: secret }] })],
  "ForgeError.PoolFull": [],
  "ForgeError.RateLimited": [],
  "ForgeError.Reset": [],
  "ForgeError.RunFailed": [failed],
  "ForgeError.SessionClosed": [],
  "ForgeError.ShuttingDown": [],
  "ForgeError.StorageUnavailable": [],
  "ForgeError.OtherServer": [],
  "ForgeError.Timeout": [],
  "ForgeError.TokenExists": [],
  "ForgeError.TooLarge": [],
  "ForgeError.TooManyRuns": [],
  "ForgeError.TransportError": [],
  "ForgeError.Unexpected": [unexpected],
  "AppToken.MintedToken": [Schema.decodeSync(Core.AppToken.MintedToken)({ name: "billing", token: canaries.minted })],
  "AppToken.TokenInfo": [],
  "Agents.Agent": [],
  "Conversations.Service": [],
  "Conversations.make": [],
  "Health.Health": [],
  "Run.Done": [],
  "Run.Part": [],
  "Run.Run": [],
  "SessionFiles.FileEntry": [],
  "SessionInfo.LiveState": [],
  "SessionInfo.SessionId": [],
  "SessionInfo.SessionInfo": [],
  "SessionInfo.SessionState": [],
  "SessionInfo.sessionId": [],
  "Telemetry.CaptureContent": [],
  "Telemetry.Enabled": [],
  "Telemetry.failedCloses": [],
  "Telemetry.openSessions": [],
  "Telemetry.operationDuration": [],
  "Telemetry.timeToFirstChunk": [],
  "Telemetry.tokenUsage": [],
  "Turn.Done": [],
  "Turn.Part": [],
  "Turn.Turn": [],
  "Turn.Usage": [],
  "Turn.isDone": [],
  "Turn.progress": [],
  "Turn.run": [],
  "Turn.texts": [],
  "Turn.UsageReducerSum": [],
  "Turn.withCursor": [],
  "Turn.make": [Core.Turn.make(turnParts)],
  ...Object.fromEntries(Object.keys(Core.TurnEvent).map((name) => [`TurnEvent.${name}`, []])),
  "Upload.FileToken": [Schema.decodeSync(Upload.FileToken)(canaries.file)],
  "Upload.UploadedFile": [Schema.decodeSync(Upload.UploadedFile)({ file_token: canaries.file, ttl_secs: 60, size: 1 })],
  "Upload.fileToken": [Upload.fileToken(canaries.file)],
  "Upload.fromBytes": [Upload.fromBytes("a", nothing)],
  "Upload.fromPath": [Upload.fromPath("package.json")],
  "Upload.fromStream": [Upload.fromStream("a", Stream.make(nothing))],
  "NodeForgeAdmin.layer": [Node.NodeForgeAdmin.layer(given.admin)],
  "NodeForgeAdmin.layerConfig": [],
  "NodeForgeClient.layer": [Node.NodeForgeClient.layer(given.client)],
  "NodeForgeClient.layerConfig": [],
  "NodeForgeClient.layerHttpClient": [],
  "NodeForgeClient.layerHttpClientWith": []
}

const isModule = (value: unknown): value is object => Object.prototype.toString.call(value) === "[object Module]"

const exportsOf = (entry: object): ReadonlyArray<readonly [string, unknown]> =>
  Object.entries(entry).flatMap(([name, value]) =>
    isModule(value)
      ? Object.entries(value).map(([key, one]): readonly [string, unknown] => [`${name}.${key}`, one])
      : [[name, value]]
  )

const exported = [...exportsOf(Core), ...exportsOf(Node)]

/** Answers that hold what must not be printed: tokens, and what an agent said. */
const good: Script = ({ method, path }) => {
  if (method === "POST" && path === "/files") return { json: { file_token: canaries.file, ttl_secs: 60, size: 1 } }
  if (method === "POST" && path === "/admin/tokens") return { json: { name: "billing", token: canaries.minted } }
  if (path === "/run?usage=true")
    return { json: { ok: true, result: canaries.answer, duration_ms: 1, stop_reason: null } }
  if (path.endsWith("/healthz")) {
    return { json: { ok: true, claude_present: true, claude_version: null, features: ["files"] } }
  }
  if (path.includes("/files/content")) return { json: { ok: true, size: 1, etag: "1" } }
  if (path.includes("/s-1/files")) return { json: { ok: true, entries: [], truncated: false, unlisted: 0 } }
  if (path.endsWith("/diff")) return { json: { ok: true, diff: "" } }
  if (path.endsWith("/turn")) return { json: turn("s-1", 1, canaries.answer) }
  const [route] = `${method} ${path}`.split("?", 1)
  const found = Object.values(goodCalls).find(({ request }) => request.split("?", 1)[0] === route)
  return { json: found?.good ?? { ok: true } }
}

const clients = Layer.unwrap(
  ScriptedServer.useSync(({ url }) => {
    const { admin, client } = options(url)
    return Layer.merge(Node.NodeForgeClient.layer(client), Node.NodeForgeAdmin.layer(admin))
  })
)

const withServer = (script: Script, recorder: Recorder.Recorder) =>
  clients.pipe(Layer.provideMerge(Layer.effect(ScriptedServer, start(script))), Layer.provideMerge(recorder.layer))

const assertNothingLeaked = Effect.fnUntraced(function* (recorder: Recorder.Recorder) {
  assert.deepStrictEqual(leaks(printsOfSpans(recorder.spans)), [], "spans")
  assert.deepStrictEqual(leaks(recorder.logs.join("\n")), [], "logs")
  assert.deepStrictEqual(leaks(prints(yield* recorder.metrics)), [], "metrics")
})

describe("public values print without secrets", () => {
  it("every export is listed here or among the calls", () => {
    const here = [...Object.keys(samples), ...Object.keys(ofModules)]
    assert.deepStrictEqual(exported.map(([name]) => name).sort(), here.sort())
  })

  it.live("every method of the services is listed among the calls", () =>
    Effect.gen(function* () {
      const client = yield* ForgeClient.ForgeClient
      const admin = yield* ForgeAdmin.ForgeAdmin
      assert.sameMembers(Object.keys(client), Object.keys(ofService))
      assert.sameMembers(Object.keys(admin), Object.keys(ofAdmin))
      const session = yield* Forge.attach(sessionId)
      for (const name of Object.keys(ofSession)) assert.property(session, name)
    }).pipe(Effect.provide(withServer(good, Recorder.make())))
  )

  it("exports, and what they make of secrets", () => {
    for (const [name, value] of exported) {
      // A codec is a constant, and the tree of one is too large to print.
      const printed = Schema.isSchema(value) ? [] : [value]
      for (const one of [...printed, ...(samples[name] ?? [])]) assert.deepStrictEqual(leaks(prints(one)), [], name)
    }
  })

  it("calls that have not run", () => {
    for (const [name, call] of calls) assert.deepStrictEqual(leaks(prints(call)), [], name)
  })

  it.live("the services, and the handle of a session", () =>
    Effect.gen(function* () {
      const client = yield* ForgeClient.ForgeClient
      const session = yield* Forge.session()
      yield* session.turn(canaries.prompt, { files: [Upload.fileToken(canaries.file)] })
      const waiting = session.turn(canaries.prompt)
      for (const value of [client, yield* ForgeAdmin.ForgeAdmin, session, waiting]) {
        assert.deepStrictEqual(leaks(prints(value)), [])
      }
      assert.deepStrictEqual(
        JSON.parse(JSON.stringify(session)),
        JSON.parse(JSON.stringify({ _id: "Session", ...session.info, status: "Open" }))
      )
    }).pipe(Effect.scoped, Effect.provide(withServer(good, Recorder.make())))
  )

  it.live("results of calls, except the agent's text; telemetry and logs have none of it", () => {
    const recorder = Recorder.make()
    return Effect.gen(function* () {
      for (const [name, call] of calls) {
        const value = yield* Effect.scoped(call)
        const leaked = leaks(prints(value))
        assert.deepStrictEqual(leaked, /\b(turn|stream|run|runStream|withSession)$/.test(name) ? ["answer"] : [], name)
      }
      yield* assertNothingLeaked(recorder)
    }).pipe(Effect.provide(withServer(good, recorder)))
  })
})

describe("no secret is in what fails before there is an answer", () => {
  const untyped = (value: unknown): never => value as never
  const { app, prompt, system } = canaries

  /** Input that is refused, and holds a secret where something else belongs. */
  const bad: ReadonlyArray<Effect.Effect<unknown, unknown, Core.ForgeClient.ForgeClient | Core.ForgeAdmin.ForgeAdmin>> =
    [
      ...[[prompt], { [app]: prompt }, Object(prompt)].map((wrong) => Forge.run(untyped(wrong))),
      ...[[prompt], { prompt }].map((wrong) => Forge.withSession({}, (session) => session.turn(untyped(wrong)))),
      ...[prompt, { seconds: prompt }, [prompt, 1]].map((timeout) => Forge.run("hello", { timeout: untyped(timeout) })),
      Forge.run("hello", { system: untyped([system]) }),
      Forge.run("hello", { model: app, effort: untyped(app), systemMode: untyped(app) }),
      ...[[app], app, { app }, [Redacted.make(`${canaries.file}/..`)], [Upload.fileToken(app)]].map((files) =>
        Forge.run("hello", { files: untyped(files) })
      ),
      Effect.scoped(Forge.session({ agent: `${app} ` })),
      Effect.scoped(Forge.session({ model: `-${app}` })),
      Effect.scoped(Forge.session({ meta: untyped(new Map([[prompt, prompt]])) })),
      Effect.scoped(Forge.session({ meta: untyped({ prompt: () => prompt, other: Symbol(prompt) }) })),
      Forge.attach(untyped(`../${app}`)),
      Forge.upload(Upload.fromBytes(`a\n${app}`, nothing), { timeToLive: untyped(app) }),
      ForgeAdmin.ForgeAdmin.use(({ mint }) => mint(`${app}!`)),
      ForgeAdmin.ForgeAdmin.use(({ mint }) => mint("app", { ipCidrs: untyped([{ app }]) })),
      ForgeAdmin.ForgeAdmin.use(({ revoke }) => revoke(`${app}!`))
    ]

  it.live("input that is refused", () => {
    const recorder = Recorder.make()
    return Effect.gen(function* () {
      for (const effect of bad) {
        const cause = yield* Effect.flip(Effect.sandbox(effect))
        yield* Effect.logError(cause)
        assert.deepStrictEqual(leaks(printsOfCause(cause)), [], Cause.pretty(cause))
      }
      yield* assertNothingLeaked(recorder)
    }).pipe(Effect.provide(withServer(good, recorder)))
  })

  it.live("settings that are refused", () =>
    Effect.gen(function* () {
      const url = `http://${app}:${app}@127.0.0.1`
      const layers: ReadonlyArray<Layer.Layer<never, unknown>> = [
        Node.NodeForgeClient.layer({ ...given.client, url }),
        Node.NodeForgeClient.layer({ ...given.client, url: app }),
        Node.NodeForgeClient.layer({ ...given.client, token: untyped(app) }),
        Node.NodeForgeClient.layer({ ...given.client, token: Redacted.make(`${app} `) }),
        Node.NodeForgeClient.layer({ ...given.client, retry: { pause: untyped(app) } }),
        ...[{ CLAWDFORGE_TOKEN: `${app}\t` }, { CLAWDFORGE_URL: url, CLAWDFORGE_TOKEN: app }].map((env) =>
          Layer.provide(Node.NodeForgeClient.layerConfig(), ConfigProvider.layer(ConfigProvider.fromUnknown(env)))
        )
      ]
      for (const layer of layers) {
        const exit = yield* Effect.exit(Effect.scoped(Layer.build(layer)))
        assert.isTrue(Exit.isFailure(exit))
        assert.deepStrictEqual(leaks(Exit.isFailure(exit) ? printsOfCause(exit.cause) : ""), [])
      }
    })
  )

  it.live("connections that do not come about, or break", () => {
    const recorder = Recorder.make()
    const unreachable = (url: string) => Node.NodeForgeClient.layer({ ...given.client, url })
    const { file } = canaries
    return Effect.gen(function* () {
      const { url } = yield* ScriptedServer
      const secure = url.replace("http:", "https:")
      const one = Forge.run(prompt, { system, files: [Upload.fileToken(file)] })
      const late = Forge.upload(Upload.fromBytes("a", nothing), { timeout: "20 millis" })
      const broken: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
        ...["http://127.0.0.1:1", "http://nowhere.invalid", secure, url].map((url) =>
          Effect.provide(one, unreachable(url))
        ),
        Effect.provide(late, unreachable(`${url}/silent`))
      ]
      for (const effect of broken) {
        const cause = yield* Effect.flip(Effect.sandbox(effect))
        yield* Effect.logError(cause)
        assert.match(Cause.pretty(cause), /TransportError/)
        assert.deepStrictEqual(leaks(printsOfCause(cause)), [], Cause.pretty(cause))
      }
      yield* assertNothingLeaked(recorder)
    }).pipe(
      Effect.provide(
        Layer.effect(
          ScriptedServer,
          start(({ path }) => (path.startsWith("/silent") ? "silence" : "reset"))
        )
      ),
      Effect.provide(recorder.layer)
    )
  })

  it.live("a file that cannot be read, and a session that cannot be closed", () => {
    const recorder = Recorder.make()
    const refuse = echo(401, shapes["a sentence"] ?? (() => ({ text: "", type: "" })), ({ headers }) =>
      JSON.stringify(headers)
    )
    const script: Script = (request, nth) => (request.method === "DELETE" ? refuse(request) : good(request, nth))
    return Effect.gen(function* () {
      yield* Forge.withSession({}, (session) => session.turn(prompt))
      assert.match(recorder.logs.join("\n"), /could not be closed/)
      yield* Effect.ignore(Effect.flatMap(Upload.fromPath("/nowhere"), Forge.upload))
      yield* assertNothingLeaked(recorder)
    }).pipe(Effect.provide(withServer(script, recorder)), Effect.provide(NodeServices.layer))
  })
})
