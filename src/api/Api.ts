/**
 * The endpoints of the contract, over the schemas that the client uses too: for the server, and for its OpenAPI page.
 *
 * The errors are the contract's own bodies. They carry a `_tag` in memory and none on the wire.
 */
import { Context, Effect, Schema } from "effect"
import {
  HttpApi,
  HttpApiEndpoint,
  HttpApiGroup,
  HttpApiMiddleware,
  HttpApiSchema,
  HttpApiSecurity,
  OpenApi
} from "effect/http-api"
import { isDeeper } from "../wire/Depth.ts"
import * as Failures from "../wire/Failures.ts"
import * as Files from "../wire/Files.ts"
import { Flag } from "../wire/Flag.ts"
import * as Health from "../wire/Health.ts"
import { IdempotencyKey, Millis, nullable } from "../wire/Ids.ts"
import * as Runs from "../wire/Runs.ts"
import * as Sessions from "../wire/Sessions.ts"
import * as Tokens from "../wire/Tokens.ts"
import * as Turns from "../wire/Turns.ts"

/** The body of a refusal that is one fixed sentence. */
const sentence = <const Text extends string>(text: Text) => ({ detail: Schema.tag(text) })

/** 401: the bearer is missing, unknown or revoked. */
export class Unauthorized extends Schema.Error<Unauthorized>("effect-clawdforge/api/Api/Unauthorized")(
  { detail: Schema.Literals([Failures.sentences.missingBearer, Failures.sentences.invalidToken]) },
  { httpApiStatus: 401 }
) {
  readonly _tag = "Unauthorized"
}

/** 403: the bearer is known, but not allowed from this address. */
export class AddressNotAllowed extends Schema.Error<AddressNotAllowed>("effect-clawdforge/api/Api/AddressNotAllowed")(
  sentence(Failures.sentences.addressNotAllowed),
  { httpApiStatus: 403 }
) {
  readonly _tag = "AddressNotAllowed"
}

/** 404: no token has this name. */
export class TokenNotFound extends Schema.Error<TokenNotFound>("effect-clawdforge/api/Api/TokenNotFound")(
  sentence(Failures.sentences.tokenNotFound),
  { httpApiStatus: 404 }
) {
  readonly _tag = "TokenNotFound"
}

/** 409: a token of this name is live. */
export class TokenExists extends Schema.Error<TokenExists>("effect-clawdforge/api/Api/TokenExists")(
  sentence(Failures.sentences.tokenExists),
  { httpApiStatus: 409 }
) {
  readonly _tag = "TokenExists"
}

/** 404: no session of the calling app has this id; another app's looks the same. */
export class SessionNotFound extends Schema.Error<SessionNotFound>("effect-clawdforge/api/Api/SessionNotFound")(
  sentence(Failures.sentences.sessionNotFound),
  { httpApiStatus: 404 }
) {
  readonly _tag = "SessionNotFound"
}

/** 404: a file token is unknown, expired, or another app's. */
export class FileNotFound extends Schema.Error<FileNotFound>("effect-clawdforge/api/Api/FileNotFound")(
  sentence(Failures.sentences.fileNotFound),
  { httpApiStatus: 404 }
) {
  readonly _tag = "FileNotFound"
}

/** 410: the session is closed, or was closed while the turn ran or waited. */
export class SessionIsClosed extends Schema.Error<SessionIsClosed>("effect-clawdforge/api/Api/SessionIsClosed")(
  sentence(Failures.sentences.sessionClosed),
  { httpApiStatus: 410 }
) {
  readonly _tag = "SessionIsClosed"
}

/** 413: the body, or the file in it, is larger than the server takes. */
export class TooLarge extends Schema.Error<TooLarge>("effect-clawdforge/api/Api/TooLarge")(
  sentence(Failures.sentences.tooLarge),
  { httpApiStatus: 413 }
) {
  readonly _tag = "TooLarge"
}

/** 422: each thing that is wrong with the request. */
export class Invalid extends Schema.Error<Invalid>("effect-clawdforge/api/Api/Invalid")(Failures.Invalid.fields, {
  httpApiStatus: 422
}) {
  readonly _tag = "Invalid"
}

/** 429: the app has as much under way as one app may. */
export class TooMany extends Schema.Error<TooMany>("effect-clawdforge/api/Api/TooMany")(
  sentence(Failures.sentences.tooMany),
  { httpApiStatus: 429 }
) {
  readonly _tag = "TooMany"
}

/** 502: the agent failed. */
export class RunFailed extends Schema.Error<RunFailed>("effect-clawdforge/api/Api/RunFailed")({
  ok: Schema.tag(false),
  error: Schema.String,
  stderr: Schema.String,
  duration: Millis,
  stopReason: Schema.NullOr(Schema.String)
}) {
  readonly _tag = "RunFailed"
}

/** The body of a 502. */
export const RunFailedBody = RunFailed.pipe(
  Schema.encodeKeys({ duration: "duration_ms", stopReason: "stop_reason" }),
  HttpApiSchema.status(502)
)

/** 503: as many sessions are open as the server allows. */
export class PoolFull extends Schema.Error<PoolFull>("effect-clawdforge/api/Api/PoolFull")(
  sentence(Failures.sentences.poolFull),
  {
    httpApiStatus: 503
  }
) {
  readonly _tag = "PoolFull"
}

/** 503: as many runs are under way as the server allows. */
export class TooManyRuns extends Schema.Error<TooManyRuns>("effect-clawdforge/api/Api/TooManyRuns")(
  sentence(Failures.sentences.tooManyRuns),
  { httpApiStatus: 503 }
) {
  readonly _tag = "TooManyRuns"
}

/** 503: the server takes no work now, and why. */
export class NotReady extends Schema.Error<NotReady>("effect-clawdforge/api/Api/NotReady")(Failures.Detail.fields, {
  httpApiStatus: 503
}) {
  readonly _tag = "NotReady"
}

/** The app that the bearer of a request stands for. */
export class CurrentApp extends Context.Service<CurrentApp, { readonly id: number; readonly name: string }>()(
  "effect-clawdforge/api/Api/CurrentApp"
) {}

/** Finds the app by its bearer, from the `Authorization` header alone. */
export class AppAccess extends HttpApiMiddleware.Service<AppAccess, { provides: CurrentApp }>()(
  "effect-clawdforge/api/Api/AppAccess",
  { error: [Unauthorized, AddressNotAllowed], security: { bearer: HttpApiSecurity.bearer } }
) {}

/** Lets through whoever shows the admin token, in the `Authorization` header alone. */
export class AdminAccess extends HttpApiMiddleware.Service<AdminAccess>()("effect-clawdforge/api/Api/AdminAccess", {
  error: Unauthorized,
  security: { bearer: HttpApiSecurity.bearer }
}) {}

/** The session that the path of a request names; it belongs to the calling app. */
export class CurrentSession extends Context.Service<CurrentSession, Sessions.Row>()(
  "effect-clawdforge/api/Api/CurrentSession"
) {}

/** Lets a request through only to a session of its own app, before anything else in it is looked at. */
export class SessionAccess extends HttpApiMiddleware.Service<
  SessionAccess,
  { requires: CurrentApp; provides: CurrentSession }
>()("effect-clawdforge/api/Api/SessionAccess", { error: SessionNotFound }) {}

/** Answers what does not fit its schema with a 422 in the list form. */
export class Validation extends HttpApiMiddleware.Service<Validation>()("effect-clawdforge/api/Api/Validation", {
  error: Invalid
}) {}

/** Refuses a body that is not UTF-8, nested too deep, or still coming as the server ends, before it is parsed. */
export class JsonBody extends HttpApiMiddleware.Service<JsonBody>()("effect-clawdforge/api/Api/JsonBody", {
  error: [Invalid, NotReady, TooLarge]
}) {}

const deepest = 16
const largest = 16 * 1024

/** The caller's own object, within bounds. */
const Meta = Sessions.Meta.check(
  Schema.makeFilter((meta) => {
    if (isDeeper(meta, deepest)) return `must not be nested deeper than ${deepest}`
    const size = new TextEncoder().encode(JSON.stringify(meta)).length
    return size <= largest || `must not be over ${largest} bytes`
  })
)

const CreateRequest = Schema.Struct({ ...Sessions.createFields, meta: nullable(Meta) }).pipe(
  Schema.encodeKeys(Sessions.createKeys)
)

/** Any id that stands in the path: one that no session can have is a 404 like any other unknown one. */
const params = { id: Schema.String }

/** The key of a call that has one; of a cancel, that of the turn which it is about. */
const headers = { "idempotency-key": Schema.optionalKey(IdempotencyKey) }

const system = HttpApiGroup.make("system", { topLevel: true }).add(
  HttpApiEndpoint.get("health", Health.path, { success: Health.Health }),
  HttpApiEndpoint.get("ready", "/readyz", { success: Schema.Struct({ ok: Schema.Literal(true) }), error: NotReady })
)

const sessions = HttpApiGroup.make("sessions")
  .add(
    HttpApiEndpoint.get("state", "/sessions/:id", { params, success: Sessions.State }),
    HttpApiEndpoint.get("events", "/sessions/:id/events", {
      params,
      query: {
        after: Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)).pipe(Schema.withDecodingDefaultKey(Effect.succeed(0)))
      },
      success: Sessions.Events
    }),
    HttpApiEndpoint.delete("close", "/sessions/:id", { params, success: Sessions.Closed }),
    HttpApiEndpoint.post("turn", "/sessions/:id/turn", {
      params,
      headers,
      payload: Turns.TurnRequest,
      success: Turns.TurnResponse,
      error: [FileNotFound, SessionIsClosed, TooMany, RunFailedBody, PoolFull, NotReady]
    }).middleware(JsonBody),
    HttpApiEndpoint.post("cancel", "/sessions/:id/cancel", { params, headers, success: Turns.Cancelled })
  )
  .middleware(SessionAccess)
  .add(
    HttpApiEndpoint.post("create", Sessions.path, {
      headers,
      payload: CreateRequest,
      success: Sessions.Created,
      error: [TooMany, RunFailedBody, PoolFull, NotReady]
    }).middleware(JsonBody),
    HttpApiEndpoint.get("list", Sessions.path, {
      query: { include_closed: Flag.pipe(Schema.withDecodingDefaultTypeKey(Effect.succeed(true))) },
      success: Sessions.List
    })
  )
  .middleware(Validation)
  .middleware(AppAccess)

const runs = HttpApiGroup.make("runs")
  .add(
    HttpApiEndpoint.post("run", Runs.path, {
      query: { usage: Flag.pipe(Schema.withDecodingDefaultTypeKey(Effect.succeed(false))) },
      headers,
      payload: Runs.RunRequest,
      success: Runs.RunResponse,
      error: [FileNotFound, RunFailedBody, PoolFull, TooManyRuns]
    }).middleware(JsonBody)
  )
  .middleware(Validation)
  .middleware(AppAccess)

/** The form of an upload, for the documentation only: the server reads the form itself, as it arrives. */
const UploadForm = Schema.Struct({
  [Files.filePart]: Schema.String.annotate({ contentEncoding: "binary" }),
  [Files.ttlField]: Schema.optionalKey(Files.TimeToLive)
})

const files = HttpApiGroup.make("files")
  .add(
    HttpApiEndpoint.post("upload", Files.path, {
      query: { [Files.ttlField]: Schema.optionalKey(Files.TimeToLive) },
      payload: UploadForm.pipe(HttpApiSchema.asMultipartStream()),
      success: Files.Uploaded,
      error: [NotReady, TooLarge, TooMany]
    })
  )
  .middleware(Validation)
  .middleware(AppAccess)

const admin = HttpApiGroup.make("admin")
  .add(
    HttpApiEndpoint.post("mint", Tokens.path, {
      payload: Tokens.MintRequest,
      success: Tokens.Minted,
      error: TokenExists
    }).middleware(JsonBody),
    HttpApiEndpoint.get("tokens", Tokens.path, { success: Tokens.TokenList }),
    HttpApiEndpoint.delete("revoke", "/admin/tokens/:name", {
      params: { name: Schema.String },
      success: Tokens.Revoked,
      error: TokenNotFound
    })
  )
  .middleware(Validation)
  .add(
    HttpApiEndpoint.get("metrics", "/metrics", {
      success: Schema.String.pipe(HttpApiSchema.asText({ contentType: "text/plain; version=0.0.4; charset=utf-8" }))
    })
  )
  .middleware(AdminAccess)

/** The whole contract. */
export class Api extends HttpApi.make("clawdforge")
  .add(system)
  .add(sessions)
  .add(runs)
  .add(files)
  .add(admin)
  .annotate(HttpApi.ParseOptions, { errors: "all" })
  .annotateMerge(OpenApi.annotations({ title: "clawdforge", version: "0.2" })) {}
