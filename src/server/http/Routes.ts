/**
 * The whole of the server's HTTP side: the endpoints, who may call them, and what every answer has in common.
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
import * as Unsent from "./ResponseBudget.ts"
import * as ShutdownRefusal from "./ShutdownRefusal.ts"
import * as Validation from "./Validation.ts"

const endpoints = HttpApiBuilder.layer(Api).pipe(
  Layer.provide(Handlers.layer),
  Layer.provide([AppAccess.layerApp, AppAccess.layerSession, AdminAccess.layerAccess, Validation.layer, JsonBody.layer])
)

/** A path is matched letter by letter, and without a slash more or less. */
export const routerConfig = {
  caseSensitive: true,
  ignoreDuplicateSlashes: false,
  ignoreTrailingSlash: false,
  maxParamLength: Paths.maxSegment
}

export interface Options extends Cors.Options, RequestLog.Options {}

/**
 * The routes behind an access check, which stands before every path, including those that do not exist.
 *
 * What is provided last stands in front and is the first to touch an answer: whoever gives it, it gets its form, then its
 * id.
 */
export const layer = <E, R>(access: Layer.Layer<never, E, R>, options: Options = {}) =>
  endpoints.pipe(
    Layer.merge(Docs.layer),
    Layer.provideMerge(Unsent.layer),
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
