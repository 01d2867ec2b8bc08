/**
 * The `message` of an error: the server's own words, bounded to one line, without the request's secrets.
 */
import { Predicate, Schema } from "effect"
import * as Failures from "../../wire/Failures.ts"
import type { Issue } from "../../ForgeError.ts"
import * as Secrets from "./Secrets.ts"

const maxLength = 200

/** How much of a text is searched for a message: markup and white space around it do not count. */
const maxSearched = 20 * maxLength

const WithError = Schema.Struct({ error: Schema.String })
const WithDetails = Schema.Struct({
  detail: Schema.Struct({
    message: Schema.optionalKey(Schema.String),
    msg: Schema.optionalKey(Schema.String),
    error: Schema.optionalKey(Schema.String)
  })
})

const isWithError = Schema.is(WithError)
const isDetail = Schema.is(Failures.Detail)
const isInvalid = Schema.is(Failures.LooselyInvalid)
const isWithDetails = Schema.is(WithDetails)

const isKey = Predicate.or(Predicate.isString, Predicate.isNumber)

/** More issues help no one, and each is searched for secrets. */
const maxIssues = 100

/** The longest path of an issue that is kept. */
const maxPath = 32

/** The issues of a 422. The rejected input, which many servers repeat next to each issue, is left out. */
export const issuesOf = (json: unknown): ReadonlyArray<Issue> =>
  isInvalid(json)
    ? json.detail
        .slice(0, maxIssues)
        .map((issue) =>
          typeof issue === "string"
            ? { path: [], message: issue }
            : { path: Array.isArray(issue.loc) ? issue.loc.slice(0, maxPath).filter(isKey) : [], message: issue.msg }
        )
    : []

/** `body.prompt: must not be empty`. */
const issueText = ({ message, path }: Issue): string => (path.length === 0 ? message : `${path.join(".")}: ${message}`)

const fromJson = (json: unknown): string | undefined => {
  if (isWithError(json)) return json.error
  if (isDetail(json)) return json.detail
  if (isInvalid(json)) return issuesOf(json).map(issueText).join("; ")
  if (isWithDetails(json)) return json.detail.message ?? json.detail.msg ?? json.detail.error
  return undefined
}

/** The text of an HTML page, without its markup. */
const fromPage = (text: string): string => {
  const page = text.slice(0, maxSearched)
  const title = /<title[^>]*>\s*([^<]*[^<\s])/i.exec(page)?.[1]
  return (title ?? page.replace(/<(script|style)[\s\S]*?<\/\1>/gi, " ").replace(/<[^>]*>/g, " "))
    .replace(/&(?:#(\d{1,5})|#x([\da-f]{1,4})|(quot|apos|lt|gt|amp|nbsp));/gi, character)
    .trim()
}

const named: Readonly<Record<string, string>> = { quot: '"', apos: "'", lt: "<", gt: ">", amp: "&", nbsp: " " }

/** The character that an HTML entity stands for. */
const character = (_: string, decimal?: string, hex?: string, name = ""): string =>
  decimal !== undefined
    ? String.fromCharCode(Number(decimal))
    : hex !== undefined
      ? String.fromCharCode(Number.parseInt(hex, 16))
      : (named[name.toLowerCase()] ?? " ")

/** One line of at most 200 characters, which is never empty. */
const bounded = (text: string, fallback: string): string => {
  // Control characters would let a server forge lines in a log.
  const line = text.replace(/[\s\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, " ").trim()
  if (line === "") return fallback
  return (line.length <= maxLength ? line : `${line.slice(0, maxLength - 1)}…`).toWellFormed()
}

/** A 422 in an unknown form may repeat the rejected input anywhere. */
const mayRepeatInput = (status: number, text: string): boolean => status === 422 && /^\s*[[{"]/.test(text)

/** One bounded line of a server's words, without the request's secrets. */
export const clean = (text: string, secrets: ReadonlyArray<string>, fallback = "invalid"): string =>
  bounded(Secrets.scrub(text.slice(0, maxSearched), secrets), fallback)

/** The sentence of a response with this status. */
export const fromResponse = (options: {
  readonly status: number
  readonly json: unknown
  readonly text: string
  readonly secrets: ReadonlyArray<string>
}): string =>
  clean(
    fromJson(options.json) ?? (mayRepeatInput(options.status, options.text) ? "" : fromPage(options.text)),
    options.secrets,
    `the server answered ${options.status} and gave no reason`
  )
