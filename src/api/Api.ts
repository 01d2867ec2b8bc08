/**
 * The endpoints of the contract, over the schemas that the client uses too. The server and its OpenAPI page are made of them.
 */
import { Effect, Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import * as Descriptions from "./Descriptions.ts"
import * as Agents from "../wire/Agents.ts"
import { isDeeper } from "../wire/Depth.ts"
import * as Files from "../wire/Files.ts"
import { Flag } from "../wire/Flag.ts"
import { lastEventId, LastEventId } from "../wire/Frames.ts"
import * as Health from "../wire/Health.ts"
import { IdempotencyKey, nullable } from "../wire/Ids.ts"
import * as Paths from "../wire/Paths.ts"
import * as Runs from "../wire/Runs.ts"
import * as SessionFiles from "../wire/SessionFiles.ts"
import * as Sessions from "../wire/Sessions.ts"
import * as Tokens from "../wire/Tokens.ts"
import * as Turns from "../wire/Turns.ts"
import { TurnAnswer, UploadForm } from "./Bodies.ts"
import {
  FileChanged,
  FileNotFound,
  NotReady,
  PoolFull,
  RunFailedBody,
  SessionIsClosed,
  TokenExists,
  TokenNotFound,
  TooLarge,
  TooMany,
  TooManyRuns
} from "./Errors.ts"
import { AdminAccess, AppAccess, JsonBody, RequestTrace, SessionAccess, Storage, Validation } from "./Middlewares.ts"

const maxDepth = 16
const maxBytes = 16 * 1024

/** The caller's object, within bounds. */
const Meta = Sessions.Meta.check(
  Schema.makeFilter((meta) => {
    if (isDeeper(meta, maxDepth)) return `must not be nested deeper than ${maxDepth}`
    const size = new TextEncoder().encode(JSON.stringify(meta)).length
    return size <= maxBytes || `must not be over ${maxBytes} bytes`
  })
)

/** The body of `POST /sessions`, with the bounds of this server. */
export const CreateRequest = Schema.Struct({ ...Sessions.createFields, meta: nullable(Meta) }).pipe(
  Schema.encodeKeys(Sessions.createKeys)
)

/** A body under the name that it has in the documentation. */
const named = <S extends Schema.Top>(identifier: string, schema: S) => schema.annotate({ identifier })

/** Any id: one that no session can have is a 404 like any unknown one. */
const params = { id: Schema.String }

/** The key of a call. A cancel has the key of the turn that it cancels. */
const headers = { "idempotency-key": Schema.optionalKey(IdempotencyKey) }

/** The headers of a call that may be read as an event stream. */
const streamHeaders = { ...headers, [lastEventId]: Schema.optionalKey(LastEventId) }

/** The content of a file. */
const content = Schema.Uint8Array.pipe(HttpApiSchema.asUint8Array({ contentType: "application/octet-stream" }))

const system = HttpApiGroup.make("system", { topLevel: true })
  .add(
    HttpApiEndpoint.get("health", Paths.health, { success: named("Health", Health.health) }).annotateMerge(
      Descriptions.operations.health
    ),
    HttpApiEndpoint.get("ready", Paths.ready, {
      success: named("Ready", Schema.Struct({ ok: Schema.Literal(true) })),
      error: NotReady
    }).annotateMerge(Descriptions.operations.ready)
  )
  .annotateMerge(Descriptions.groups.system)

const sessions = HttpApiGroup.make("sessions")
  .add(
    HttpApiEndpoint.get("state", Paths.session.route, {
      params,
      success: named("Session", Sessions.State)
    }).annotateMerge(Descriptions.operations.state),
    HttpApiEndpoint.get("events", Paths.events.route, {
      params,
      query: {
        after: Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)).pipe(Schema.withDecodingDefaultKey(Effect.succeed(0)))
      },
      success: named("SessionEvents", Sessions.Events)
    }).annotateMerge(Descriptions.operations.events),
    HttpApiEndpoint.get("diff", Paths.diff.route, {
      params,
      success: named("SessionDiff", Sessions.Diff),
      error: [FileNotFound, TooLarge, RunFailedBody]
    }).annotateMerge(Descriptions.operations.diff),
    HttpApiEndpoint.get("files", Paths.sessionFiles.route, {
      params,
      query: {
        path: SessionFiles.FolderPath.pipe(Schema.withDecodingDefaultKey(Effect.succeed(""))),
        depth: SessionFiles.Depth.pipe(Schema.withDecodingDefaultKey(Effect.succeed(SessionFiles.depth.default)))
      },
      success: named("SessionFiles", SessionFiles.List),
      error: [FileNotFound, SessionIsClosed, NotReady]
    }).annotateMerge(Descriptions.operations.files),
    HttpApiEndpoint.get("readFile", Paths.fileContent.route, {
      params,
      query: { path: SessionFiles.FilePath },
      headers: { range: Schema.optionalKey(Schema.String), "if-match": Schema.optionalKey(Schema.String) },
      success: content,
      error: [FileNotFound, SessionIsClosed, FileChanged, NotReady]
    }).annotateMerge(Descriptions.operations.readFile),
    HttpApiEndpoint.put("writeFile", Paths.fileContent.route, {
      params,
      query: { path: SessionFiles.FilePath },
      headers: { "if-match": Schema.optionalKey(Schema.String), "if-none-match": Schema.optionalKey(Schema.String) },
      payload: content,
      success: named("FileWritten", SessionFiles.Written),
      error: [FileNotFound, SessionIsClosed, FileChanged, TooLarge, TooMany, NotReady]
    }).annotateMerge(Descriptions.operations.writeFile),
    HttpApiEndpoint.delete("close", Paths.session.route, {
      params,
      success: named("SessionClosed", Sessions.Closed)
    }).annotateMerge(Descriptions.operations.close),
    HttpApiEndpoint.post("turn", Paths.turn.route, {
      params,
      headers: streamHeaders,
      payload: named("TurnRequest", Turns.TurnRequest),
      success: TurnAnswer,
      error: [FileNotFound, SessionIsClosed, TooMany, RunFailedBody, PoolFull, NotReady]
    })
      .middleware(JsonBody)
      .annotateMerge(Descriptions.operations.turn),
    HttpApiEndpoint.post("cancel", Paths.cancel.route, {
      params,
      headers,
      success: named("TurnCancelled", Turns.Cancelled)
    }).annotateMerge(Descriptions.operations.cancel)
  )
  .middleware(SessionAccess)
  .add(
    HttpApiEndpoint.post("create", Paths.sessions, {
      headers,
      payload: named("SessionRequest", CreateRequest),
      success: named("SessionOpened", Sessions.Created),
      error: [TooMany, RunFailedBody, PoolFull, NotReady]
    })
      .middleware(JsonBody)
      .annotateMerge(Descriptions.operations.create),
    HttpApiEndpoint.get("list", Paths.sessions, {
      query: {
        include_closed: Flag.pipe(Schema.withDecodingDefaultTypeKey(Effect.succeed(true))),
        limit: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: Sessions.maxPage }))),
        cursor: Schema.optionalKey(Schema.String)
      },
      success: named("SessionList", Sessions.List),
      error: TooMany
    }).annotateMerge(Descriptions.operations.list)
  )
  .middleware(Validation)
  .middleware(AppAccess)
  .middleware(Storage)
  .annotateMerge(Descriptions.groups.sessions)

const agents = HttpApiGroup.make("agents")
  .add(
    HttpApiEndpoint.get("list", Paths.agents, { success: named("AgentList", Agents.List) }).annotateMerge(
      Descriptions.operations.agents
    )
  )
  .middleware(Validation)
  .middleware(AppAccess)
  .middleware(Storage)
  .annotateMerge(Descriptions.groups.agents)

const runs = HttpApiGroup.make("runs")
  .add(
    HttpApiEndpoint.post("run", Paths.run, {
      query: { usage: Flag.pipe(Schema.withDecodingDefaultTypeKey(Effect.succeed(false))) },
      headers: streamHeaders,
      payload: named("RunRequest", Runs.RunRequest),
      success: named("Run", Runs.RunResponse),
      error: [FileNotFound, TooMany, RunFailedBody, PoolFull, TooManyRuns]
    })
      .middleware(JsonBody)
      .annotateMerge(Descriptions.operations.run)
  )
  .middleware(Validation)
  .middleware(AppAccess)
  .middleware(Storage)
  .annotateMerge(Descriptions.groups.runs)

const files = HttpApiGroup.make("files")
  .add(
    HttpApiEndpoint.post("upload", Paths.files, {
      query: { [Files.ttlField]: Schema.optionalKey(Files.TimeToLive) },
      payload: UploadForm.pipe(HttpApiSchema.asMultipartStream()),
      success: named("UploadedFile", Files.Uploaded),
      error: [NotReady, TooLarge, TooMany]
    }).annotateMerge(Descriptions.operations.upload)
  )
  .middleware(Validation)
  .middleware(AppAccess)
  .middleware(Storage)
  .annotateMerge(Descriptions.groups.files)

const admin = HttpApiGroup.make("admin")
  .add(
    HttpApiEndpoint.post("mint", Paths.tokens, {
      payload: named("TokenRequest", Tokens.MintRequest),
      success: named("TokenMinted", Tokens.Minted),
      error: TokenExists
    })
      .middleware(JsonBody)
      .annotateMerge(Descriptions.operations.mint),
    HttpApiEndpoint.get("tokens", Paths.tokens, { success: named("TokenList", Tokens.TokenList) }).annotateMerge(
      Descriptions.operations.tokens
    ),
    HttpApiEndpoint.delete("revoke", Paths.token.route, {
      params: { name: Schema.String },
      success: named("TokenRevoked", Tokens.Revoked),
      error: TokenNotFound
    }).annotateMerge(Descriptions.operations.revoke)
  )
  .middleware(Validation)
  .add(
    HttpApiEndpoint.get("metrics", Paths.metrics, {
      success: Schema.String.pipe(HttpApiSchema.asText({ contentType: "text/plain; version=0.0.4; charset=utf-8" }))
    }).annotateMerge(Descriptions.operations.metrics)
  )
  .middleware(AdminAccess)
  .middleware(Storage)
  .annotateMerge(Descriptions.groups.admin)

/** The whole contract. */
export class Api extends HttpApi.make("clawdforge")
  .add(system)
  .add(sessions)
  .add(agents)
  .add(runs)
  .add(files)
  .add(admin)
  .middleware(RequestTrace)
  .annotate(HttpApi.ParseOptions, { errors: "all" })
  .annotateMerge(Descriptions.contract) {}
