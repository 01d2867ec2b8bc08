/**
 * A prompt of `effect/ai` as one text for an agent, with its files.
 */
import { Effect, Option, Result } from "effect"
import type { AiError, Prompt } from "effect/ai"
import * as Base64 from "effect/encoding/Base64"
import * as Upload from "../Upload.ts"
import * as AiFailure from "./AiFailure.ts"

export interface PromptText {
  /** What is to be the system prompt of the session. */
  readonly system: string | undefined
  readonly text: string
  readonly files: ReadonlyArray<Upload.Source>
  /** Whether the agent has said some of it. */
  readonly hasAnswers: boolean
}

const nameOf = ({ fileName, mediaType }: Prompt.FilePart, index: number): string =>
  fileName ?? `file-${index + 1}.${mediaType.split("/")[1]?.replace(/\W.*/, "") ?? "bin"}`

const bytesOf = ({ data }: Prompt.FilePart): Option.Option<Uint8Array> => {
  if (data instanceof Uint8Array) return Option.some(data)
  return typeof data === "string" ? Result.getSuccess(Base64.decode(data)) : Option.none()
}

const fileOf = (part: Prompt.FilePart, index: number) =>
  Option.match(bytesOf(part), {
    onNone: () =>
      Effect.fail(AiFailure.refused("prompt", "an agent takes files as bytes or Base64, not by their address")),
    onSome: (bytes) => Effect.succeed(Upload.fromBytes(nameOf(part, index), bytes, { contentType: part.mediaType }))
  })

const textOf = (message: Prompt.Message): string => {
  if (message.role === "system") return message.content
  return message.content
    .flatMap((part) => {
      if (part.type === "text") return [part.text]
      return part.type === "tool-result" ? [`${part.name}: ${JSON.stringify(part.result)}`] : []
    })
    .join("\n")
}

const speakers = { assistant: "You", tool: "Tool", user: "User" } as const

/** One message is its text. Of a conversation that the session does not have it is a transcript, the last message at its end. */
const transcriptOf = (messages: ReadonlyArray<Exclude<Prompt.Message, Prompt.SystemMessage>>): string => {
  const [only, ...rest] = messages
  if (only === undefined) return ""
  if (rest.length === 0) return textOf(only)
  const said = messages.map((message) => `${speakers[message.role]}: ${textOf(message)}`)
  return `This is our conversation so far. Answer its last message.\n\n${said.join("\n\n")}`
}

export const make = Effect.fnUntraced(function* (prompt: Prompt.Prompt): Effect.fn.Return<PromptText, AiError.AiError> {
  const system = prompt.content.filter(({ role }) => role === "system").map(textOf)
  const messages = prompt.content.filter((message) => message.role !== "system")
  const parts = messages.flatMap(({ content }) =>
    [...content].filter((part): part is Prompt.FilePart => part.type === "file")
  )
  return {
    system: system.length === 0 ? undefined : system.join("\n\n"),
    text: transcriptOf(messages),
    files: yield* Effect.forEach(parts, fileOf),
    hasAnswers: messages.some(({ role }) => role === "assistant")
  }
})
