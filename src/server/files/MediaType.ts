/**
 * The media type of an uploaded file, by which an agent knows how to read it.
 */
import { Option } from "effect"
import * as Mime from "effect/http/Mime"
import * as Wire from "../../wire/Files.ts"
import * as FileName from "./FileName.ts"

/** The type that clients send where they know none. */
const unspecified = "application/octet-stream"

/** Extensions of source code that the registry of media types has for something else: `ts` is a video there. */
const sourceCode: ReadonlySet<string> = new Set(["mts", "rs", "ts"])

const byExtension = (name: string): string | undefined => {
  const extension = FileName.extension(name).slice(1).toLowerCase()
  if (extension === "") return undefined
  return sourceCode.has(extension) ? "text/plain" : Option.getOrUndefined(Mime.getType(extension))
}

/**
 * The type that the client gave, without parameters; where it gave none, that of the name's extension. Undefined where
 * both are unknown.
 */
export const of = ({
  contentType = "",
  name
}: {
  readonly contentType?: string | undefined
  readonly name: string
}): string | undefined => {
  const [essence = ""] = contentType.split(";", 1)
  const given = essence.trim().toLowerCase()
  return Wire.isMediaType(given) && given !== unspecified ? given : byExtension(name)
}
