/**
 * The one sentence of a failure: taken from what the server said, bounded, and without what the request kept secret.
 */
import { Schema } from "effect"
import * as Failures from "../api/schema/Failures.ts"
import * as Secrets from "./Secrets.ts"

const maxLength = 200

/** As much of a text as is looked at to find that many characters worth telling. */
const enough = 20 * maxLength

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
  const page = text.slice(0, enough)
  const title = /<title[^>]*>([^<]*)/i.exec(page)?.[1]
  return (title ?? page.replace(/<(script|style)[\s\S]*?<\/\1>/gi, " ").replace(/<[^>]*>/g, " "))
    .replace(/&(?:#(\d{1,5})|#x([\da-f]{1,4})|(quot|apos|lt|gt|amp|nbsp));/gi, character)
    .trim()
}

const named: Readonly<Record<string, string>> = { quot: '"', apos: "'", lt: "<", gt: ">", amp: "&", nbsp: " " }

/** The character that a page escaped. */
const character = (_: string, decimal?: string, hex?: string, name = ""): string =>
  decimal !== undefined
    ? String.fromCharCode(Number(decimal))
    : hex !== undefined
      ? String.fromCharCode(Number.parseInt(hex, 16))
      : (named[name.toLowerCase()] ?? " ")

/** One line of at most 200 characters, which is never empty. */
const bounded = (text: string, otherwise: string): string => {
  // Control characters would let a server write its own lines into somebody's log.
  const line = text.replace(/[\s\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, " ").trim()
  if (line === "") return otherwise
  return line.length <= maxLength ? line : `${line.slice(0, maxLength - 1)}…`
}

/** One line of what a server said, without what the request kept secret. */
export const tell = (text: string, secrets: ReadonlyArray<string>, otherwise = "invalid"): string =>
  bounded(Secrets.scrub(text.slice(0, enough), secrets), otherwise)

/** What an answer with this status says. */
export const fromAnswer = (options: {
  readonly status: number
  readonly json: unknown
  readonly text: string
  readonly secrets: ReadonlyArray<string>
}): string =>
  tell(
    fromJson(options.json) ?? fromPage(options.text),
    options.secrets,
    `the server answered ${options.status} and gave no reason`
  )
