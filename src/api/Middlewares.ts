/**
 * The middlewares of the endpoints: access control and the validation of requests.
 */
import { Context } from "effect"
import { HttpApiMiddleware, HttpApiSecurity, OpenApi } from "effect/http-api"
import type * as Sessions from "../wire/Sessions.ts"
import {
  AddressNotAllowed,
  Invalid,
  NotReady,
  SessionNotFound,
  StorageUnavailable,
  TooLarge,
  Unauthorized
} from "./Errors.ts"

/** The app that a request comes from. */
export class CurrentApp extends Context.Service<CurrentApp, { readonly id: number; readonly name: string }>()(
  "effect-clawdforge/api/Middlewares/CurrentApp"
) {}

const bearer = (description: string) =>
  HttpApiSecurity.annotate(HttpApiSecurity.bearer, OpenApi.Description, description)

/** Authenticates an app by its bearer token, from the `Authorization` header alone. */
export class AppAccess extends HttpApiMiddleware.Service<AppAccess, { provides: CurrentApp }>()(
  "effect-clawdforge/api/Middlewares/AppAccess",
  {
    error: [Unauthorized, AddressNotAllowed, StorageUnavailable],
    security: { appToken: bearer("The token of an app, cf_…") }
  }
) {}

/** Requires the admin token, in the `Authorization` header alone. */
export class AdminAccess extends HttpApiMiddleware.Service<AdminAccess>()(
  "effect-clawdforge/api/Middlewares/AdminAccess",
  {
    error: Unauthorized,
    security: { adminToken: bearer("The operator's admin token") }
  }
) {}

/** The session in the path of a request, which belongs to the calling app. */
export class CurrentSession extends Context.Service<CurrentSession, Sessions.SessionState>()(
  "effect-clawdforge/api/Middlewares/CurrentSession"
) {}

/** Requires that the session belongs to the calling app. It runs before the rest of the request is validated. */
export class SessionAccess extends HttpApiMiddleware.Service<
  SessionAccess,
  { requires: CurrentApp; provides: CurrentSession }
>()("effect-clawdforge/api/Middlewares/SessionAccess", { error: [SessionNotFound, StorageUnavailable] }) {}

/** Answers a request that does not fit its schema with a 422, whose detail is a list. */
export class Validation extends HttpApiMiddleware.Service<Validation>()(
  "effect-clawdforge/api/Middlewares/Validation",
  {
    error: Invalid
  }
) {}

/** The text of a JSON body, read and checked but not parsed. */
export class BodyText extends Context.Service<BodyText, string>()("effect-clawdforge/api/Middlewares/BodyText") {}

/** Reads a JSON body. Refuses one that is not UTF-8, is nested too deep, or is incomplete when the server ends. */
export class JsonBody extends HttpApiMiddleware.Service<JsonBody, { provides: BodyText }>()(
  "effect-clawdforge/api/Middlewares/JsonBody",
  { error: [Invalid, NotReady, TooLarge] }
) {}

/** Declares the 503 of storage that fails, and logs why it failed. */
export class Storage extends HttpApiMiddleware.Service<Storage>()("effect-clawdforge/api/Middlewares/Storage", {
  error: StorageUnavailable
}) {}

/** Puts the spans of an endpoint, of its middlewares too, into the trace of the request. */
export class RequestTrace extends HttpApiMiddleware.Service<RequestTrace>()(
  "effect-clawdforge/api/Middlewares/RequestTrace"
) {}
