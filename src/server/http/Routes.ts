/**
 * The HTTP side of the server: its endpoints, behind the middlewares that every request passes.
 */
import { Layer } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Api } from "../../api/Api.ts"
import * as AdminAccess from "../access/AdminAccess.ts"
import * as AppAccess from "../access/AppAccess.ts"
import * as BodyLimit from "./BodyLimit.ts"
import * as Cors from "../access/Cors.ts"
import * as Docs from "./Docs.ts"
import * as Handlers from "./Handlers.ts"
import * as JsonBody from "./JsonBody.ts"
import * as Paths from "./Paths.ts"
import * as Refusals from "./Refusals.ts"
import * as RequestId from "./RequestId.ts"
import * as RequestLog from "./RequestLog.ts"
import * as RequestSpan from "./RequestSpan.ts"
import * as ResponseBudget from "./ResponseBudget.ts"
import * as ShutdownRefusal from "./ShutdownRefusal.ts"
import * as StorageReport from "./StorageReport.ts"
import * as Validation from "./Validation.ts"

const endpoints = HttpApiBuilder.layer(Api).pipe(
  Layer.provide(Handlers.layer),
  Layer.provide([
    AppAccess.layerApp,
    AppAccess.layerSession,
    AdminAccess.layerAccess,
    Validation.layer,
    JsonBody.layer,
    StorageReport.layer,
    RequestSpan.layerTrace
  ])
)

/** Paths are matched literally, slashes included. */
export const routerConfig = {
  caseSensitive: true,
  ignoreDuplicateSlashes: false,
  ignoreTrailingSlash: false,
  maxParamLength: Paths.maxSegment
}

export interface Options extends Cors.Options, RequestLog.Options {}

/**
 * The routes behind an access check, which applies to every path, including those that do not exist.
 *
 * The middleware that is provided last is the outermost, and its hook is the first to see a response: `Refusals` puts it
 * into form before `RequestId` adds the id and `RequestLog` logs it.
 */
export const layer = <E, R>(access: Layer.Layer<never, E, R>, options: Options = {}) =>
  endpoints.pipe(
    Layer.merge(Docs.layer),
    Layer.provideMerge(ResponseBudget.layer),
    Layer.provideMerge(BodyLimit.layer),
    Layer.provideMerge(ShutdownRefusal.layer),
    Layer.provideMerge(Paths.layer),
    Layer.provideMerge(Cors.layer(options)),
    Layer.provideMerge(access),
    Layer.provideMerge(RequestLog.layer(options)),
    Layer.provideMerge(Refusals.layerDefects),
    Layer.provideMerge(RequestSpan.layer),
    Layer.provideMerge(RequestId.layer),
    Layer.provideMerge(Refusals.layerForm)
  )
