/**
 * Says in one line why an agent refused a request: the message of its JSON-RPC error, with the names and words that
 * agents put in the error's `data`, where the message often says nothing ("Internal error").
 */
import { Predicate } from "effect"

/** The fields of `data` that hold words, or another object with such fields. The first come first. */
const wordFields = [
  "message",
  "details",
  "detail",
  "error",
  "reason",
  "description",
  "additionalDetails",
  "data",
  "cause"
]

/** The fields of `data` that hold the name of an error: `billing_error`, `ProviderAuthError`, `usageLimitExceeded`. */
const nameFields = ["errorKind", "codexErrorInfo", "name", "type", "code"]

const isName = (value: unknown): value is string =>
  typeof value === "string" && /^[A-Za-z][A-Za-z0-9_.-]{2,63}$/.test(value) && !genericNames.has(value.toLowerCase())

/** Names that say no more than that it is an error. */
const genericNames: ReadonlySet<string> = new Set(["error", "internal_error", "internalerror", "requesterror"])

/** How far fields are followed: an error in an error's `data` is usually the last. */
const maxDepth = 3

/** What the fields of an object, and of the objects in them, give. */
const collect = (
  data: unknown,
  read: (fields: Readonly<Record<string, unknown>>) => ReadonlyArray<string>,
  depth = maxDepth
): ReadonlyArray<string> => {
  if (!Predicate.isObject(data) || depth === 0) return []
  const fields: Readonly<Record<string, unknown>> = { ...data }
  return [...read(fields), ...wordFields.flatMap((field) => collect(fields[field], read, depth - 1))]
}

const wordsIn = (data: unknown): ReadonlyArray<string> =>
  typeof data === "string"
    ? [data]
    : collect(data, (fields) => wordFields.map((field) => fields[field]).filter(Predicate.isString))

/** A name may also be the only field of an object that has its details. */
const namesIn = (data: unknown): ReadonlyArray<string> =>
  collect(data, (fields) =>
    nameFields
      .map((field) => fields[field])
      .flatMap((value) => (Predicate.isObject(value) ? Object.keys(value).slice(0, 1) : [value]))
      .filter(isName)
  )

const oneLine = (text: string): string => text.replaceAll(/\s+/g, " ").trim()

/** The message of an error that names nothing. */
const generic = /^Internal error(: |$)/i

/** The most characters of a reason. */
const maxLength = 500

/** The reason as one line of bounded length, in which nothing is said twice. */
export const from = ({ data, message }: { readonly message: string; readonly data?: unknown }): string => {
  const names = namesIn(data)
  const said = names.length === 0 ? message : message.replace(generic, "")
  const parts = [...names, said, ...wordsIn(data)].map(oneLine).filter((part) => part !== "")
  const isRepeated = (part: string, at: number) =>
    parts.some((other, index) => index !== at && other.includes(part) && (other !== part || index < at))
  const reason = parts.filter((part, at) => !isRepeated(part, at)).join(": ")
  return (reason === "" ? oneLine(message) : reason).slice(0, maxLength).toWellFormed()
}
