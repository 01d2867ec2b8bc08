/**
 * The errors of the client as those of `effect/ai`.
 *
 * Only what is known not to have reached the agent is retryable there, since a repeat is another turn; and, as everywhere in
 * `effect/ai`, an answer that is no object of its Schema.
 */
import { Redacted } from "effect"
import { AiError } from "effect/ai"
import type { CreateError, RunError, TurnAsError, UploadError } from "../ForgeError.ts"

export type Failure = CreateError | RunError | TurnAsError | UploadError

const notDone = new Set<string>(["not-sent", "refused"])

const reasonOf = (error: Failure): AiError.AiErrorReason => {
  const { message: description } = error
  switch (error._tag) {
    case "AuthError": {
      const kind = error.status === 403 ? "InsufficientPermissions" : "InvalidKey"
      return new AiError.AuthenticationError({ kind, description })
    }
    case "SessionClosed":
      return new AiError.UnknownError({ description })
    case "TransportError": {
      const { method, path: url } = error
      return notDone.has(error.outcome)
        ? new AiError.NetworkError({ reason: "TransportError", method, url, description })
        : new AiError.UnknownError({ description })
    }
    case "ApiError": {
      const { outcome, reason, retryAfter, status } = error
      if (reason._tag === "OutputMismatch") {
        const text = reason.attempts.at(-1)?.text
        return new AiError.StructuredOutputError({
          description,
          responseText: text === undefined ? "" : Redacted.value(text)
        })
      }
      if (status === 429) return new AiError.RateLimitError({ retryAfter })
      if (status < 500) return new AiError.InvalidRequestError({ description })
      return notDone.has(outcome)
        ? new AiError.InternalProviderError({ description })
        : new AiError.UnknownError({ description })
    }
  }
}

export const from =
  (method: string) =>
  (error: Failure): AiError.AiError =>
    AiError.make({ module: "ForgeLanguageModel", method, reason: reasonOf(error) })

/** The caller asks for what an agent cannot do. */
export const refused = (method: string, description: string): AiError.AiError =>
  AiError.make({ module: "ForgeLanguageModel", method, reason: new AiError.InvalidUserInputError({ description }) })

/** A tool that an agent cannot call. */
export const toolRefused = (method: string, toolName: string): AiError.AiError =>
  AiError.make({
    module: "ForgeLanguageModel",
    method,
    reason: new AiError.ToolConfigurationError({
      toolName,
      description:
        "an agent calls tools of its own, and none of the program: declare those with Tool.providerDefined and their name as providerName"
    })
  })
