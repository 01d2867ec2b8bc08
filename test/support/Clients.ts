/**
 * Both clients of one server, and every call as a list, with what sending it twice would do.
 */
import { Layer, Redacted } from "effect"
import type { HttpClient } from "effect/http"
import { ForgeAdmin, ForgeClient, type ForgeError } from "../../src/index.ts"
import * as Calls from "./Calls.ts"
import { type Call, calls } from "./Operations.ts"

export type Failed = ForgeError.AuthError | ForgeError.ApiError | ForgeError.TransportError | ForgeError.SessionClosed

/** The same as once; the same where the server remembers its key; or it acts twice. */
export type Kind = "idempotent" | "keyed" | "once"

export interface Operation extends Call {
  readonly name: string
  readonly kind: Kind
  readonly path: string
}

const keyed = new Set(["create", "turn", "run"])

const kindOf = (name: string, method: string): Kind =>
  method !== "POST" ? "idempotent" : keyed.has(name) ? "keyed" : "once"

export const operations: ReadonlyArray<Operation> = Object.entries(calls).map(([name, call]) => {
  const [method = "", path = ""] = call.request.split(" ")
  return { ...call, name, path, kind: kindOf(name, method) }
})

/** The features that a server names, in the answer to a health check. */
export const health = (features: ReadonlyArray<string> = []) => ({
  ok: true,
  claude_present: true,
  claude_version: null,
  features
})

/** Both clients of the server at an address. */
export const layerClients = (
  url: string,
  retry?: ForgeClient.Options["retry"]
): Layer.Layer<
  ForgeClient.ForgeClient | ForgeAdmin.ForgeAdmin | Calls.Calls,
  ForgeError.ApiError<422>,
  HttpClient.HttpClient
> => {
  const options = { url, token: Redacted.make("cf_test-token"), retry }
  return Layer.mergeAll(ForgeClient.layer(options), ForgeAdmin.layer(options), Calls.layer(options))
}
