/**
 * The one sentence of a failure: taken from what the server said, bounded, and without what the request kept secret.
 */
import { RegExp, Schema } from "effect"
import * as Failures from "../api/schema/Failures.ts"

const maxLength = 200

const WithError = Schema.Struct({ error: Schema.String })
const WithMessage = Schema.Union([
  Schema.Struct({ detail: Schema.Struct({ message: Schema.String }) }),
  Schema.Struct({ detail: Schema.Struct({ msg: Schema.String }) }),
  Schema.Struct({ detail: Schema.Struct({ error: Schema.String }) })
])

const isWithError = Schema.is(WithError)
const isDetail = Schema.is(Failures.Detail)
const isInvalid = Schema.is(Failures.Invalid)
const isWithMessage = Schema.is(WithMessage)

/** `body.prompt: must not be empty`. */
const issueText = (issue: Failures.Issue): string =>
  issue.loc.length === 0 ? issue.msg : `${issue.loc.join(".")}: ${issue.msg}`

const fromJson = (json: unknown): string | undefined => {
  if (isWithError(json)) return json.error
  if (isDetail(json)) return json.detail
  if (isInvalid(json)) return json.detail.map(issueText).join("; ")
  if (isWithMessage(json)) return Object.values(json.detail).join(" ")
  return undefined
}

/** The words of a page, without its markup. */
const fromPage = (text: string): string => {
  const page = text.slice(0, 20 * maxLength)
  const title = /<title[^>]*>([^<]*)/i.exec(page)?.[1]
  return (title ?? page.replace(/<(script|style)[\s\S]*?<\/\1>/gi, " ").replace(/<[^>]*>/g, " ")).trim()
}

/** What is shorter than this also stands inside of other words, by chance: there it is left. */
const telling = 8

const pattern = (secret: string) =>
  secret.length >= telling
    ? secret
    : new globalThis.RegExp(`(?<![\\p{L}\\p{N}])${RegExp.escape(secret)}(?![\\p{L}\\p{N}])`, "gu")

/** Text without what the request kept secret, as it is or as JSON writes it. */
export const scrub = (text: string, secrets: ReadonlyArray<string>): string => {
  let clean = text
  for (const secret of secrets) {
    if (secret === "") continue
    for (const form of new Set([secret, JSON.stringify(secret).slice(1, -1)])) {
      clean = clean.replaceAll(pattern(form), "<redacted>")
    }
  }
  return clean
}

/** One line of at most 200 characters, which is never empty. */
export const bounded = (text: string, otherwise: string): string => {
  // Control characters would let a server write its own lines into somebody's log.
  const line = text.replace(/[\s\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, " ").trim()
  if (line === "") return otherwise
  return line.length <= maxLength ? line : `${line.slice(0, maxLength - 1)}…`
}

/** What an answer with this status says. */
export const fromAnswer = (options: {
  readonly status: number
  readonly json: unknown
  readonly text: string
  readonly secrets: ReadonlyArray<string>
}): string =>
  bounded(
    scrub(fromJson(options.json) ?? fromPage(options.text), options.secrets),
    `the server answered ${options.status} and gave no reason`
  )
