/**
 * The content of a file in a session's folder, as it is sent and as it arrives.
 */
import { Effect, Stream } from "effect"
import { type HttpServerRequest, HttpServerResponse } from "effect/http"
import { bodyIssue, FileChanged, Invalid } from "../../api/Errors.ts"
import type { Condition, OpenedFile } from "../folders/Folders.ts"

const quoted = (etag: string): string => `"${etag}"`

/** The tag of a condition: one, and not a weak one; `*` is any. */
const tagIn = (header: string | undefined): string | undefined =>
  header === undefined ? undefined : (/^\s*"([^"]*)"\s*$/.exec(header)?.[1] ?? header.trim())

type Headers = HttpServerRequest.HttpServerRequest["headers"]

/** What a request wants a file to be like before it is replaced. */
export const conditionOf = (headers: Headers): Effect.Effect<Condition, Invalid> => {
  const none = headers["if-none-match"]
  if (none !== undefined && none.trim() !== "*") {
    return Effect.fail(Invalid.header("if-none-match", "must be *, for a file that is not there yet"))
  }
  return Effect.succeed({ etag: tagIn(headers["if-match"]), isNew: none !== undefined })
}

/** The first byte, and the one after the last, that a request wants; undefined for all of them, or where it makes no sense. */
const rangeOf = (header: string | undefined, size: number) => {
  const [, from = "", to = ""] = /^bytes=(\d*)-(\d*)$/.exec(header ?? "") ?? []
  if (from === "" && to === "") return undefined
  if (from === "") return { from: Math.max(0, size - Number(to)), to: size }
  return { from: Number(from), to: to === "" ? size : Math.min(size, Number(to) + 1) }
}

/** Browsers are not to show it: it is what an agent wrote, under the server's own name. */
const fixed = { "content-disposition": "attachment", "x-content-type-options": "nosniff", "cache-control": "no-store" }

/** The file, or a part of it. */
export const render = Effect.fnUntraced(function* (headers: Headers, { etag, read, size }: OpenedFile) {
  const wanted = tagIn(headers["if-match"])
  if (wanted !== undefined && wanted !== "*" && wanted !== etag) return yield* new FileChanged()
  const range = rangeOf(headers["range"], size)
  const { from, to } = range ?? { from: 0, to: size }
  const common = { ...fixed, etag: quoted(etag), "accept-ranges": "bytes" }
  if (range !== undefined && from >= to) {
    const headers = { ...common, "content-range": `bytes */${size}` }
    return HttpServerResponse.jsonUnsafe({ detail: "the file has no such part" }, { status: 416, headers })
  }
  return HttpServerResponse.stream(read(from, to), {
    status: range === undefined ? 200 : 206,
    contentType: "application/octet-stream",
    contentLength: to - from,
    headers: range === undefined ? common : { ...common, "content-range": `bytes ${from}-${to - 1}/${size}` }
  })
})

const notWhole = new Invalid({ detail: [bodyIssue([], "must be whole")] })

/** What arrives; it fails where less arrives than was announced. */
export const received = ({ stream }: HttpServerRequest.HttpServerRequest): Stream.Stream<Uint8Array, Invalid> =>
  Stream.mapError(stream, () => notWhole)

export const written = ({ etag, size }: { readonly etag: string; readonly size: number }) =>
  HttpServerResponse.jsonUnsafe({ ok: true, size, etag }, { headers: { etag: quoted(etag) } })
