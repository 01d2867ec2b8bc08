/**
 * The address, the token and the bounds of a client, checked before they are used.
 */
import { Config, Duration, Effect, Predicate, type Redacted } from "effect"
import { durationMessage } from "../wire/Ids.ts"
import type { RetryPolicy } from "../RetryPolicy.ts"
import type { ApiError, Issue } from "../ForgeError.ts"
import * as Input from "./calls/Input.ts"
import { type Bounds, bounds } from "./exchange/Retry.ts"

const call = { operation: "ForgeClient.make", method: "", path: "" }

const refuse = (setting: "url" | "token" | "retry", message: string): Effect.Effect<never, ApiError<422>> =>
  Effect.fail(Input.refuse(call, [{ path: [setting], message }]))

const defaultUrl = "http://127.0.0.1:8800"

/** The address from `CLAWDFORGE_URL`, and the token from the variable that holds it. */
export const config = (token: "CLAWDFORGE_TOKEN" | "CLAWDFORGE_ADMIN_TOKEN") =>
  Config.all({
    url: Config.String("CLAWDFORGE_URL").pipe(Config.withDefault(defaultUrl)),
    token: Config.Redacted(token)
  })

/** A base URL: http or https, without user info, query or fragment. A path prefix is kept. */
export const url = (input: string | URL = defaultUrl): Effect.Effect<URL, ApiError<422>> => {
  const text = String(input)
  const parsed = URL.parse(text)
  if (parsed === null || (parsed.protocol !== "http:" && parsed.protocol !== "https:"))
    return refuse("url", "must be an http or https URL, http://127.0.0.1:8800 for one")
  if (parsed.username !== "" || parsed.password !== "")
    return refuse("url", "must not hold user info: give the token as `token`")
  if (text.includes("?") || text.includes("#")) return refuse("url", "must not have a query or a fragment")
  return Effect.succeed(parsed)
}

/** A bearer token as a header can carry it. */
export const token = (input: Redacted.Redacted): Effect.Effect<Redacted.Redacted, ApiError<422>> =>
  /^[\x21-\x7e]+$/.test(Input.tokenText(input))
    ? Effect.succeed(input)
    : refuse(
        "token",
        "must be redacted and not empty, and must not hold spaces, control characters or letters beyond ASCII"
      )

const durations = ["pause", "maxPause", "maxRetryAfter", "budget"] as const

const retryIssues = (options: RetryPolicy): ReadonlyArray<Issue> => [
  ...(options.times === undefined || options.times >= 0
    ? []
    : [{ path: ["retry", "times"], message: "must be a number, and not negative" }]),
  ...durations
    .filter((name) => !Duration.isFinite(Input.duration(options[name] ?? 0)))
    .map((name) => ({ path: ["retry", name], message: durationMessage }))
]

/** The bounds of repeating, which can all be kept. */
export const retry = (options: RetryPolicy | false = {}): Effect.Effect<Bounds, ApiError<422>> => {
  if (options === false) return Effect.succeed(bounds({ times: 0 }))
  if (!Predicate.isObject(options)) return refuse("retry", "must be an object, or false")
  const issues = retryIssues(options)
  return issues.length === 0 ? Effect.succeed(bounds(options)) : Effect.fail(Input.refuse(call, issues))
}
