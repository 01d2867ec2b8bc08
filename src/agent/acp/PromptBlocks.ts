/**
 * A prompt as content blocks of the protocol: the files first, then the text unaltered.
 *
 * Every file is a link. An image is also a block of its own, for an agent that takes images, since a link is for tools: a
 * model sees what is in the prompt.
 */
import { Effect, FileSystem } from "effect"
import * as Base64 from "effect/encoding/Base64"
import { pathToFileURL } from "node:url"
import type { AgentTurn, Attachment } from "../Agent.ts"

/** The types of images that models read. */
const imageTypes: ReadonlySet<string> = new Set(["image/gif", "image/jpeg", "image/png", "image/webp"])

/** The most bytes of the images of one prompt: some models refuse a single one of more. Beyond them an image is a link alone. */
const maxImageBytes = 5_000_000

const linkOf = (file: Attachment) => ({
  type: "resource_link",
  name: file.name,
  uri: pathToFileURL(file.path).href,
  ...(file.mediaType === undefined ? {} : { mimeType: file.mediaType }),
  ...(file.size === undefined ? {} : { size: file.size })
})

const isImage = ({ mediaType = "", stored }: Attachment) => stored !== undefined && imageTypes.has(mediaType)

/** The blocks of a turn's prompt. */
export type PromptBlocks = (turn: AgentTurn) => Effect.Effect<ReadonlyArray<object>>

/** For an agent that takes images, or does not. */
export const make = Effect.fnUntraced(function* (options: { readonly takesImages: boolean }) {
  const fs = yield* FileSystem.FileSystem
  const blocksOf: PromptBlocks = Effect.fnUntraced(function* ({ files, prompt }) {
    let left = options.takesImages ? maxImageBytes : 0
    const blocks: Array<object> = []
    for (const file of files) {
      blocks.push(linkOf(file))
      const { mediaType, size = Infinity, stored = "" } = file
      if (!isImage(file) || size > left) continue
      // From where no agent can write. It is gone if its time was over just now: the link remains.
      const bytes = yield* Effect.option(fs.readFile(stored))
      if (bytes._tag === "None") continue
      left -= size
      blocks.push({ type: "image", mimeType: mediaType, data: Base64.encode(bytes.value) })
    }
    return [...blocks, { type: "text", text: prompt }]
  })
  return blocksOf
})
