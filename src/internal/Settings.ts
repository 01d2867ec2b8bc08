/**
 * The address and the token of a client, checked before they are used.
 */
import { Config, Effect, Redacted } from "effect"
import type { ApiError } from "../ForgeError.ts"
import * as Input from "./Input.ts"

const call = { operation: "ForgeClient.make", method: "", path: "" }

const refuse = (setting: "url" | "token", message: string): Effect.Effect<never, ApiError<422>> =>
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
  /^[\x21-\x7e]+$/.test(Redacted.value(input))
    ? Effect.succeed(input)
    : refuse("token", "must not be empty, and must not hold spaces, control characters or letters beyond ASCII")
