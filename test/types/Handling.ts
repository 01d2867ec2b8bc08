/**
 * How failures are handled away: by status, by tag, by reason. The type checker holds it.
 */
import { Effect } from "effect"
import { ApiError, Forge, type ForgeError, type Session, type SessionClosed, type Turn } from "../../src/index.ts"
import type { Always, Are, Usual } from "./Errors.ts"
import type { Equal, Holds } from "./Expect.ts"

type ErrorOf<T> = Effect.Error<T>
type Caught<T> = Exclude<Effect.Success<T>, Turn.Turn>

declare const turn: ReturnType<Session.Session["turn"]>

// Returns what is caught, to check its type.
const oneStatus = Effect.catchIf(turn, ApiError.is(502), (error) => Effect.succeed(error))
const someStatuses = Effect.catchIf(turn, ApiError.is(404, 410, 413, 422, 502), (error) => Effect.succeed(error))
const allStatuses = Effect.catchIf(someStatuses, ApiError.is(400, 429, 500, 503), () => Effect.void)
const reasonOfStatus = Effect.catchIf(turn, ApiError.is(404), ({ reason }) => Effect.succeed(reason))

export type ByStatus = Holds<
  [
    Equal<Caught<typeof oneStatus>, ApiError<502>>,
    Are<ErrorOf<typeof oneStatus>, Always | 404 | 410 | 413 | 422, Usual | SessionClosed>,
    Equal<Caught<typeof someStatuses>, ForgeError.ApiErrors<404 | 410 | 413 | 422 | 502>>,
    Are<ErrorOf<typeof someStatuses>, Always, Usual | SessionClosed>,
    Equal<ErrorOf<typeof allStatuses>, Usual | SessionClosed>,
    Equal<Caught<typeof reasonOfStatus>, ForgeError.NotFound | ForgeError.Unexpected>
  ]
>

const oneTag = Effect.catchTag(turn, "ApiError", ({ status }) => Effect.succeed(status))
const allTags = Effect.catchTags(turn, {
  ApiError: ({ outcome }) => Effect.succeed(outcome),
  AuthError: ({ status }) => Effect.succeed(status),
  TransportError: ({ reason }) => Effect.succeed(reason._tag),
  SessionClosed: ({ by }) => Effect.succeed(by)
})

export type ByTag = Holds<
  [
    Equal<Caught<typeof oneTag>, Always | 404 | 410 | 413 | 422 | 502>,
    Equal<ErrorOf<typeof oneTag>, Usual | SessionClosed>,
    Equal<ErrorOf<typeof turn>["_tag"], "ApiError" | "AuthError" | "TransportError" | "SessionClosed">,
    Equal<ErrorOf<typeof allTags>, never>
  ]
>

const apiReason = Effect.catchReason(turn, "ApiError", "RunFailed", (reason, { status }) =>
  Effect.succeed([reason, status] as const)
)
const transportReason = Effect.catchReason(turn, "TransportError", "Timeout", (reason) => Effect.succeed(reason))
const reasons = Effect.catchReasons(turn, "ApiError", {
  NotFound: ({ resource }) => Effect.succeed(resource),
  Invalid: ({ issues }) => Effect.succeed(issues.length),
  PoolFull: ({ _tag }) => Effect.succeed(_tag),
  RateLimited: ({ _tag }) => Effect.succeed(_tag)
})

export type ByReason = Holds<
  [
    Equal<Caught<typeof apiReason>, readonly [ForgeError.RunFailed, 502]>,
    Equal<Caught<typeof transportReason>, ForgeError.Timeout>,
    Equal<Caught<typeof reasons>, "session" | "file" | "token" | "path" | number | "PoolFull" | "RateLimited">,
    Equal<Exclude<ErrorOf<typeof apiReason>, ApiError>, Usual | SessionClosed>
  ]
>

declare const turnAs: Effect.Effect<Turn.Structured<number>, ForgeError.TurnAsError>

const mismatch = Effect.catchReason(turnAs, "ApiError", "OutputMismatch", ({ attempts }) => Effect.succeed(attempts))
const otherFailures = Effect.catchIf(turnAs, ApiError.is(502), ({ reason }) => Effect.succeed(reason._tag))

export type OfStructured = Holds<
  [
    Equal<Exclude<Effect.Success<typeof mismatch>, Turn.Structured<number>>, ReadonlyArray<ForgeError.OutputAttempt>>,
    Equal<Exclude<Effect.Success<typeof otherFailures>, Turn.Structured<number>>, "RunFailed" | "Unexpected">,
    Equal<Extract<ErrorOf<typeof otherFailures>, ApiError<502, unknown>>, ApiError<502, ForgeError.OutputMismatch>>
  ]
>

// Handling what cannot happen does not compile.

// @ts-expect-error: only a turn whose answer is decoded can mismatch
export const noMismatch = Effect.catchReason(turn, "ApiError", "OutputMismatch", () => Effect.void)

// @ts-expect-error: no server of this contract answers 418 as such
ApiError.is(418)
// @ts-expect-error: a health check has no agent that can fail
export const noRunFailed = Effect.catchReason(Forge.health, "ApiError", "RunFailed", () => Effect.void)
// @ts-expect-error: opening a session cannot fail with SessionClosed
export const noSessionClosed = Effect.catchTag(Forge.session(), "SessionClosed", () => Effect.void)
// @ts-expect-error: a reason is not a tag
export const noTag = Effect.catchTag(turn, "RunFailed", () => Effect.void)
