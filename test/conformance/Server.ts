/**
 * A server under test, wherever it is and however it is reached.
 */
import { Context, Effect, Redacted, Schema, Stream } from "effect"
import { HttpBody, HttpClient, HttpClientRequest, type HttpMethod } from "effect/http"
import { strict as assert } from "node:assert"
import { randomBytes } from "node:crypto"
import { ForgeAdmin, ForgeClient } from "../../src/index.ts"
import type { Case, Need } from "./Case.ts"
import { eventually } from "../support/Eventually.ts"
import * as Form from "../support/Form.ts"
import * as Http from "../support/Http.ts"

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly text: string
}

export const newAdminToken = () => `admin-${randomBytes(32).toString("hex")}`

/** The answers of an exchange of bytes, interim ones included. */
export const answersIn = (text: string): ReadonlyArray<Answer> =>
  Http.answersIn(text).map((answer) => ({ ...answer, headers: Object.fromEntries(answer.headers) }))

/** The last answer of an exchange of bytes. */
export const lastAnswer = (text: string): Answer => {
  const last = answersIn(text).at(-1)
  assert(last !== undefined && last.status > 0, `no answer: ${text}`)
  return last
}

/** Its address and its tokens. */
export interface Options {
  readonly url: string
  readonly http: HttpClient.HttpClient
  readonly appToken?: string | undefined
  readonly adminToken?: string | undefined
  /** The agent of the sessions that cases open. */
  readonly agent: string
  /** What else it has; the rest is in its health answer. */
  readonly has: ReadonlyArray<Need>
}

const Health = Schema.fromJsonString(
  Schema.Struct({ claude_present: Schema.Boolean, features: Schema.optionalKey(Schema.Array(Schema.String)) })
)

const Minted = Schema.fromJsonString(Schema.Struct({ token: Schema.String }))
const Opened = Schema.fromJsonString(Schema.Struct({ session_id: Schema.String }))
const Uploaded = Schema.fromJsonString(Schema.Struct({ file_token: Schema.String }))
const State = Schema.fromJsonString(Schema.Struct({ turn_count: Schema.Int, closed_at: Schema.NullOr(Schema.Int) }))

const bodyOf = (body: unknown, contentType: string): HttpBody.HttpBody =>
  body === undefined
    ? HttpBody.empty
    : body instanceof Uint8Array
      ? HttpBody.uint8Array(body, contentType)
      : HttpBody.text(typeof body === "string" ? body : JSON.stringify(body), contentType)

const requestText = (method: string, path: string, authorization: string, body?: object) => {
  const content = body === undefined ? "" : JSON.stringify(body)
  const head = [`${method} ${path} HTTP/1.1`, "Host: 127.0.0.1", `Authorization: ${authorization}`]
  return `${[...head, "Content-Type: application/json", `Content-Length: ${content.length}`].join("\r\n")}\r\n\r\n${content}`
}

/** Decodes an answer, or fails with what it is instead. */
const read = <A, R>(schema: Schema.Codec<A, string, R>, answer: Answer) =>
  Schema.decodeEffect(schema)(answer.text).pipe(
    Effect.mapError((cause) => new Error(`${answer.status} ${answer.text}`, { cause })),
    Effect.orDie
  )

const makeCall = ({ http, url }: Pick<Options, "http" | "url">) => {
  const execute = (method: HttpMethod.HttpMethod, path: string, { body, headers = {} }: Http.CallOptions) =>
    http.execute(
      HttpClientRequest.make(method)(url + path).pipe(
        HttpClientRequest.setBody(bodyOf(body, headers["content-type"] ?? "application/json")),
        HttpClientRequest.setHeaders(headers)
      )
    )
  return {
    /** One request, with nothing added but its lengths. */
    call: Effect.fnUntraced(function* (method: HttpMethod.HttpMethod, path: string, options: Http.CallOptions = {}) {
      const response = yield* execute(method, path, options)
      const answer: Answer = { status: response.status, headers: response.headers, text: yield* response.text }
      return answer
    }, Effect.orDie),
    /** The answer to a request as it arrives; it is dropped when the reader stops. */
    read: (method: HttpMethod.HttpMethod, path: string, options: Http.CallOptions) =>
      execute(method, path, options).pipe(
        Effect.map(({ stream }) => Stream.decodeText(stream)),
        Stream.unwrap,
        Stream.orDie
      )
  }
}

const clientOf = ({ http, url }: Options, token: string) =>
  ForgeClient.make({ url, token: Redacted.make(token), retry: false }).pipe(
    Effect.provideService(HttpClient.HttpClient, http),
    Effect.orDie
  )

/** The requests of one app, with its own token. */
const makeApp = Effect.fnUntraced(function* (options: Options, name: string, token: string) {
  const { agent } = options
  const authorization = `Bearer ${token}`
  const { call, read: readStream } = makeCall(options)
  const request = (method: HttpMethod.HttpMethod, path: string, options: Http.CallOptions = {}) =>
    call(method, path, { ...options, headers: { authorization, ...options.headers } })
  const state = (id: string) => Effect.flatMap(request("GET", `/sessions/${id}`), (answer) => read(State, answer))
  /** Opens a session, and gives its id. */
  const open = Effect.fnUntraced(function* (body: object = {}) {
    const answer = yield* request("POST", "/sessions", { body: { agent, ...body } })
    const { session_id: id } = yield* read(Opened, answer)
    // An app without an admin stays, so its sessions have to go.
    yield* Effect.addFinalizer(() => request("DELETE", `/sessions/${id}`).pipe(Effect.ignore))
    return id
  })
  /** A POST and a DELETE on one connection, which the server therefore takes in this order. */
  const sendThenClose = (path: string, body: object, closed: string) =>
    Http.exchange(
      options.url,
      requestText("POST", path, authorization, body) +
        requestText("DELETE", closed, `${authorization}\r\nConnection: close`)
    ).pipe(
      Effect.map((text) => answersIn(text)[0] ?? lastAnswer(text)),
      Effect.forkChild
    )
  /** The same in this process, where requests are taken in the order in which they are made. */
  const requestThenClose = Effect.fnUntraced(function* (path: string, body: object, closed: string) {
    const posted = yield* Effect.forkChild(request("POST", path, { body }), { startImmediately: true })
    yield* request("DELETE", closed)
    return posted
  })
  const client = yield* clientOf(options, token)
  return {
    name,
    token,
    client,
    request,
    open,
    /** Sends a turn to a busy session, and returns once the server has it: `marker` is closed by the next request. */
    queueTurn: Effect.fnUntraced(function* (id: string, prompt: string) {
      const marker = yield* open()
      const send = options.has.includes("socket") ? sendThenClose : requestThenClose
      const turn = yield* send(`/sessions/${id}/turn`, { prompt }, `/sessions/${marker}`)
      yield* state(marker).pipe(eventually("the request after a turn", ({ closed_at }) => closed_at !== null))
      return turn
    }),
    turn: (id: string, prompt: string, more: object = {}) =>
      request("POST", `/sessions/${id}/turn`, { body: { prompt, ...more } }),
    /** A turn as an event stream, as its text comes in. */
    stream: (id: string, prompt: string, headers: Readonly<Record<string, string>> = {}) =>
      readStream("POST", `/sessions/${id}/turn`, {
        body: { prompt },
        headers: { authorization, accept: "text/event-stream", ...headers }
      }),
    /** An answer as its text comes in. */
    read: (method: HttpMethod.HttpMethod, path: string, options: Http.CallOptions) =>
      readStream(method, path, { ...options, headers: { authorization, ...options.headers } }),
    /** Uploads a file, and gives its token. */
    upload: Effect.fnUntraced(function* (content: string, name = "notes.txt") {
      const answer = yield* request("POST", "/files", Form.of(Form.file(content, name)))
      return (yield* read(Uploaded, answer)).file_token
    }),
    /** Waits until so many turns of a session were handed to its agent. */
    turns: (id: string, count: number) =>
      state(id).pipe(eventually(`${count} turns of ${id}`, ({ turn_count }) => turn_count >= count))
  }
})

/** The app of a case. */
export class App extends Context.Service<App, Effect.Success<ReturnType<typeof makeApp>>>()("test/conformance/App") {}

const make = Effect.fnUntraced(function* (options: Options) {
  const { adminToken, appToken, http, url } = options
  const { call } = makeCall(options)
  const { claude_present: claude, features = [] } = yield* read(Health, yield* call("GET", "/healthz"))
  const has = new Set<Need>([
    ...options.has,
    ...features.map((name) => `feature ${name}` as const),
    ...(features.length > 0 ? ["ours" as const] : []),
    ...(adminToken === undefined ? [] : ["admin" as const]),
    ...(claude ? ["claude" as const] : [])
  ])
  const admin = (method: HttpMethod.HttpMethod, path: string, options: Http.CallOptions = {}) =>
    call(method, path, { ...options, headers: { authorization: `Bearer ${adminToken}`, ...options.headers } })
  const mint = Effect.fnUntraced(function* () {
    const name = `case-${randomBytes(8).toString("hex")}`
    const { token } = yield* read(Minted, yield* admin("POST", "/admin/tokens", { body: { name } }))
    yield* Effect.addFinalizer(() => admin("DELETE", `/admin/tokens/${name}`).pipe(Effect.ignore))
    return yield* makeApp(options, name, token)
  })
  return {
    url,
    call,
    admin,
    adminToken,
    agent: options.agent,
    /** The client's administration. */
    adminClient: ForgeAdmin.make({ url, token: Redacted.make(adminToken ?? "none"), retry: false }).pipe(
      Effect.provideService(HttpClient.HttpClient, http),
      Effect.orDie
    ),
    clientOf: (token: string) => clientOf(options, token),
    /** A new app, where there is an admin to make it, until the scope ends; else the one that there is. */
    newApp: adminToken === undefined ? makeApp(options, "", appToken ?? "") : mint(),
    has: (need: Need) => has.has(need),
    /** The needs of a case that this server does not meet. */
    missing: ({ needs = [] }: Case) => needs.filter((need) => !has.has(need))
  }
})

/** The server that a case runs against. */
export class Server extends Context.Service<Server, Effect.Success<ReturnType<typeof make>>>()(
  "test/conformance/Server"
) {
  static readonly make = make
}
