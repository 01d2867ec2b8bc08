/**
 * Both clients of one server, and the list of all calls, each with the effect of sending it twice.
 */
import { Layer, Redacted } from "effect"
import type { HttpClient } from "effect/http"
import { ForgeAdmin, ForgeClient, type ForgeError } from "../../src/index.ts"
import * as Calls from "./Calls.ts"
import { type Call, calls } from "./Operations.ts"

export type Failed = ForgeError.AuthError | ForgeError.ApiError | ForgeError.TransportError | ForgeError.SessionClosed

/** Sending it twice has the effect of once, always or if the server supports keys; or it acts twice. */
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

/** The answer to a health check, with the server's features. */
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
