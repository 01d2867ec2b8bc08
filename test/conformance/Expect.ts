/**
 * Assertions about answers. Other fields are allowed, as a client ignores them.
 */
import { strict as assert } from "node:assert"
import type { Answer } from "./Server.ts"

/** A value, or what it must fulfil. */
export type Expected = Readonly<Record<string, unknown>>

/** A field that need not be there. */
export const optional = (check: (value: unknown) => boolean) => (value: unknown) => value === undefined || check(value)
export const orNull = (check: (value: unknown) => boolean) => (value: unknown) => value === null || check(value)
export const isString = (value: unknown): value is string => typeof value === "string"
export const isBoolean = (value: unknown) => typeof value === "boolean"
export const isCount = (value: unknown) => Number.isInteger(value) && Number(value) >= 0
export const isArray = (value: unknown): value is ReadonlyArray<unknown> => Array.isArray(value)
export const like = (pattern: RegExp) => (value: unknown) => isString(value) && pattern.test(value)

/** Whole seconds since 1970, and of these days. */
export const isTime = (value: unknown) => isCount(value) && Math.abs(Number(value) - Date.now() / 1000) < 3600

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** A JSON object, however deep in an answer it stands. */
export const record = (value: unknown, what = "a JSON object") => {
  assert(isRecord(value), `${what}: ${JSON.stringify(value)}`)
  return value
}

/** The objects of an array. */
export const records = (value: unknown) => {
  assert(isArray(value), `an array: ${JSON.stringify(value)}`)
  return value.map((member) => record(member))
}

/** The JSON object that an answer has, whatever its status. */
export const json = ({ headers, status, text }: Answer) => {
  assert.match(headers["content-type"] ?? "", /^application\/json\b/, `${status} ${text}`)
  return record(JSON.parse(text), text)
}

export const fields = (value: unknown, expected: Expected) => {
  const object = record(value)
  for (const [key, check] of Object.entries(expected)) {
    const got = object[key]
    const message = `${key} is ${JSON.stringify(got)} in ${JSON.stringify(object).slice(0, 2_000)}`
    if (typeof check === "function") assert(check(got), message)
    else assert.deepEqual(got, check, message)
  }
  return object
}

/** An answer of a status, whose body has these fields. */
export const answer = (got: Answer, status: number, expected: Expected = {}) => {
  assert.equal(got.status, status, got.text)
  return fields(json(got), expected)
}

/** A refusal with this sentence. */
export const refused = (got: Answer, status: number, detail: unknown = isString) => answer(got, status, { detail })

/** A 422, which says of each place what is wrong with it. */
export const invalid = (got: Answer, ...locations: ReadonlyArray<ReadonlyArray<string | number>>) => {
  const { detail } = answer(got, 422, { detail: isArray })
  const entries = records(detail)
  for (const entry of entries) fields(entry, { loc: isArray, msg: isString, type: isString })
  for (const loc of locations) {
    assert(
      entries.some((entry) => JSON.stringify(entry["loc"]).startsWith(JSON.stringify(loc).slice(0, -1))),
      `${JSON.stringify(loc)} in ${got.text}`
    )
  }
}

/** A 502, with what is known of the failure at the top. */
export const failed = (got: Answer, expected: Expected = {}) =>
  answer(got, 502, {
    ok: false,
    error: (error: unknown) => isString(error) && error !== "",
    stderr: isString,
    duration_ms: isCount,
    stop_reason: isString,
    detail: undefined,
    ...expected
  })

/** The answer to a turn that ended. */
export const turn = (got: Answer, expected: Expected = {}) => {
  const { events } = answer(got, 200, {
    ok: true,
    session_id: isString,
    turn_index: isCount,
    stop_reason: orNull(isString),
    duration_ms: isCount,
    ...expected
  })
  return records(events)
}

/** What the agent said in a turn. */
export const textOf = (events: ReadonlyArray<Readonly<Record<string, unknown>>>) =>
  events.map(({ content, type }) => (type === "text" && isString(content) ? content : "")).join("")

/** The frames of an event stream, comments aside, with the number of each that has one. */
export const frames = (text: string) =>
  text
    .split(/(?<=\n\n)/)
    .filter((frame) => !frame.startsWith(":"))
    .map((frame) => {
      const [, id, event = "", data = ""] = /^(?:id: (.*)\n)?event: (.*)\ndata: (.*)\n\n$/.exec(frame) ?? []
      return { id: id === undefined ? undefined : Number(id), event, data: record(JSON.parse(data), frame) }
    })

/** What an event stream has, without the comments that keep it open. */
export const framesText = (text: string) =>
  text
    .split(/(?<=\n\n)/)
    .filter((frame) => !frame.startsWith(":"))
    .join("")

/** What every row of a session has. */
export const sessionRow = {
  session_id: isString,
  app_name: optional(isString),
  agent: isString,
  cwd: isString,
  created_at: isTime,
  last_turn_at: orNull(isTime),
  turn_count: isCount,
  closed_at: orNull(isTime),
  meta: (meta: unknown) => meta === null || typeof meta === "object",
  model: orNull(isString)
}
