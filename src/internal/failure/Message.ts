/**
 * The one sentence of a failure: taken from what the server said, bounded, and without what the request kept secret.
 */
import { Predicate, Schema } from "effect"
import * as Failures from "../../wire/Failures.ts"
import type { Issue } from "../../ForgeError.ts"
import * as Secrets from "./Secrets.ts"

const maxLength = 200

/** As much of a text as is looked at to find that many characters worth telling. */
const enough = 20 * maxLength

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

/** More issues than this help nobody, and each is searched for secrets. */
const maxIssues = 100

/** As deep as the path of an issue is told. */
const maxPath = 32

/** What a 422 finds wrong, and where. What was rejected, which many servers repeat beside it, is not taken. */
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

/** The words of a page, without its markup. */
const fromPage = (text: string): string => {
  const page = text.slice(0, enough)
  const title = /<title[^>]*>\s*([^<]*[^<\s])/i.exec(page)?.[1]
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
  return (line.length <= maxLength ? line : `${line.slice(0, maxLength - 1)}…`).toWellFormed()
}

/** A 422 in a form of its own may repeat in any place what it rejects. */
const mayRepeatInput = (status: number, text: string): boolean => status === 422 && /^\s*[[{"]/.test(text)

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
    fromJson(options.json) ?? (mayRepeatInput(options.status, options.text) ? "" : fromPage(options.text)),
    options.secrets,
    `the server answered ${options.status} and gave no reason`
  )
