import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, FileSystem, PlatformError } from "effect"
import type { Attachment } from "../../../src/agent/Agent.ts"
import * as PromptBlocks from "../../../src/agent/acp/PromptBlocks.ts"

/** A disk with two files. */
const disk = FileSystem.layerNoop({
  readFile: (path) =>
    path.startsWith("/stored/")
      ? Effect.succeed(new TextEncoder().encode(path))
      : Effect.fail(
          PlatformError.systemError({
            _tag: "NotFound",
            module: "FileSystem",
            method: "readFile",
            pathOrDescriptor: path
          })
        )
})

const file = (name: string, more: Partial<Attachment> = {}): Attachment => ({
  name,
  path: `/work/${name}`,
  size: 10,
  mediaType: "image/png",
  stored: `/stored/${name}`,
  ...more
})

const typesOf = Effect.fnUntraced(function* (files: ReadonlyArray<Attachment>, takesImages = true) {
  const blocksOf = yield* PromptBlocks.make({ takesImages })
  const blocks = yield* blocksOf({ index: 1, prompt: "x", files, timeout: Duration.minutes(1) })
  return blocks.map((block) => ("type" in block ? block.type : undefined))
}, Effect.provide(disk))

const link = "resource_link"

describe("the blocks of a prompt", () => {
  it.effect("an image is a link, and a block of the server's own copy", () =>
    Effect.gen(function* () {
      const blocksOf = yield* PromptBlocks.make({ takesImages: true })
      const turn = { index: 1, prompt: "What is it?", files: [file("a.png")], timeout: Duration.minutes(1) }
      assert.deepStrictEqual(yield* blocksOf(turn), [
        { type: "resource_link", name: "a.png", uri: "file:///work/a.png", mimeType: "image/png", size: 10 },
        { type: "image", mimeType: "image/png", data: btoa("/stored/a.png") },
        { type: "text", text: "What is it?" }
      ])
    }).pipe(Effect.provide(disk))
  )

  it.effect("an agent that takes no images has the link alone", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* typesOf([file("a.png")], false), [link, "text"])
    })
  )

  it.effect("what no model reads as an image, what is gone, and what has no copy is a link alone", () =>
    Effect.gen(function* () {
      const files = [
        file("a.svg", { mediaType: "image/svg+xml" }),
        file("a.pdf", { mediaType: "application/pdf" }),
        file("a.png", { mediaType: undefined }),
        file("a.png", { stored: "/gone" }),
        file("a.png", { stored: undefined })
      ]
      assert.deepStrictEqual(yield* typesOf(files), [link, link, link, link, link, "text"])
    })
  )

  it.effect("the images of one prompt are bounded together", () =>
    Effect.gen(function* () {
      const files = [
        file("a.png", { size: 3_000_000 }),
        file("b.png", { size: 3_000_000 }),
        file("c.png", { size: 2_000_000 }),
        file("d.png", { size: undefined })
      ]
      assert.deepStrictEqual(yield* typesOf(files), [link, "image", link, link, "image", link, "text"])
    })
  )
})
