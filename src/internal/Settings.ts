/**
 * The settings of a client: read from configuration, and checked before they are used.
 */
import { Config, Duration, Effect, Predicate, type Redacted, Schema } from "effect"
import { durationMessage } from "../wire/Ids.ts"
import type { RetryPolicy } from "../RetryPolicy.ts"
import type { ApiError, Issue } from "../ForgeError.ts"
import * as Input from "./calls/Input.ts"
import type * as Exchange from "./exchange/Exchange.ts"
import { type Bounds, bounds } from "./exchange/Retry.ts"

const call = { operation: "ForgeClient.make", method: "", path: "" }

const refuse = (setting: string, message: string): Effect.Effect<never, ApiError<422>> =>
  Effect.fail(Input.refuse(call, [{ path: [setting], message }]))

const defaultUrl = "http://127.0.0.1:8800"

/** Where URL and token come from, if not from the environment. */
interface Sources {
  readonly url?: Config.Config<string | URL> | undefined
  readonly token?: Config.Config<Redacted.Redacted> | undefined
}

/**
 * Reads URL and token from their sources; by default from `CLAWDFORGE_URL` and the variable of the token, which then are what
 * an error names.
 */
export const load = (
  tokenVariable: "CLAWDFORGE_TOKEN" | "CLAWDFORGE_ADMIN_TOKEN",
  sources: Sources = {}
): Effect.Effect<
  { readonly url: string | URL; readonly token: Redacted.Redacted },
  Config.ConfigError | ApiError<422>
> => {
  const { token = tokenFromEnvironment(tokenVariable), url = urlFromEnvironment() } = sources
  return Effect.tap(Config.all({ url, token }), (loaded) =>
    Effect.andThen(
      sources.url === undefined ? checkUrl(loaded.url, "CLAWDFORGE_URL") : Effect.void,
      sources.token === undefined ? checkToken(loaded.token, tokenVariable) : Effect.void
    )
  )
}

const tokenFromEnvironment = (variable: string): Config.Config<Redacted.Redacted> =>
  Config.schema(
    Schema.Redacted(Schema.String.annotate({ message: `${variable} must be set to the token for the server` })),
    variable
  )

const urlFromEnvironment = (): Config.Config<string | URL> =>
  Config.String("CLAWDFORGE_URL").pipe(Config.withDefault(defaultUrl))

/** A base URL: http or https, without user info, query or fragment. A path prefix is kept. */
const checkUrl = (input: string | URL = defaultUrl, setting = "url"): Effect.Effect<URL, ApiError<422>> => {
  const text = String(input)
  const parsed = URL.parse(text)
  if (parsed === null || (parsed.protocol !== "http:" && parsed.protocol !== "https:"))
    return refuse(setting, "must be an http or https URL, http://127.0.0.1:8800 for one")
  if (parsed.username !== "" || parsed.password !== "")
    return refuse(setting, "must not hold user info: give the token as `token`")
  if (text.includes("?") || text.includes("#")) return refuse(setting, "must not have a query or a fragment")
  return Effect.succeed(parsed)
}

/** A bearer token that a header can carry. */
const checkToken = (input: Redacted.Redacted, setting = "token"): Effect.Effect<Redacted.Redacted, ApiError<422>> =>
  /^[\x21-\x7e]+$/.test(Input.tokenText(input))
    ? Effect.succeed(input)
    : refuse(
        setting,
        "must be redacted and not empty, and must not hold spaces, control characters or letters beyond ASCII"
      )

const durations = ["pause", "maxPause", "maxRetryAfter", "budget"] as const

const retryIssues = (options: RetryPolicy): ReadonlyArray<Issue> => [
  ...(options.times === undefined || (typeof options.times === "number" && options.times >= 0)
    ? []
    : [{ path: ["retry", "times"], message: "must be a number, and not negative" }]),
  ...durations
    .filter((name) => !Duration.isFinite(Input.duration(options[name] ?? 0)))
    .map((name) => ({ path: ["retry", name], message: durationMessage }))
]

/** The bounds of retries. */
const checkRetry = (options: RetryPolicy | false = {}): Effect.Effect<Bounds, ApiError<422>> => {
  if (options === false) return Effect.succeed(bounds({ times: 0 }))
  if (!Predicate.isObject(options)) return refuse("retry", "must be an object, or false")
  const issues = retryIssues(options)
  return issues.length === 0 ? Effect.succeed(bounds(options)) : Effect.fail(Input.refuse(call, issues))
}

/** The options of a client, as its caller gave them. */
interface Unchecked extends Pick<Exchange.Options, "transformClient"> {
  readonly url?: string | URL | undefined
  readonly token: Redacted.Redacted
  readonly retry?: RetryPolicy | false | undefined
  readonly propagateTrace?: boolean | undefined
}

/** Checks the options of a client, or refuses them with the first that cannot be used. */
export const check = Effect.fnUntraced(function* (
  options: Unchecked
): Effect.fn.Return<Exchange.Options, ApiError<422>> {
  const url = yield* checkUrl(options.url)
  const token = yield* checkToken(options.token)
  const bounds = yield* checkRetry(options.retry)
  return {
    url,
    token,
    bounds,
    transformClient: options.transformClient,
    propagateTrace: options.propagateTrace !== false
  }
})
