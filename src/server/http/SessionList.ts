/**
 * The handler of the list of sessions: a page of them, or all, written as they are read.
 *
 * A list of all holds one page in memory, however many sessions there are. An app reads one such list at a time.
 */
import { Effect, Option, Result, Schema, Semaphore, Stream } from "effect"
import * as Base64Url from "effect/encoding/Base64Url"
import { type HttpServerRequest, HttpServerResponse } from "effect/http"
import { Invalid, TooMany } from "../../api/Errors.ts"
import { CurrentApp } from "../../api/Middlewares.ts"
import * as Sessions from "../../wire/Sessions.ts"
import { Ledger, type Session, toState } from "../storage/Ledger.ts"
import type * as SessionPages from "../storage/SessionPages.ts"
import * as StorageFailure from "../storage/StorageFailure.ts"

interface Request {
  readonly query: { readonly include_closed: boolean; readonly limit?: number; readonly cursor?: string }
  readonly request: HttpServerRequest.HttpServerRequest
}

/** How many sessions are read at once for a list of all. */
const pageSize = 200

/** How long a list of all waits for another one of its app. */
const maxWait = "30 seconds"

const invalidCursor = new Invalid({
  detail: [{ loc: ["query", "cursor"], msg: "must be the next_cursor of an answer", type: "value_error" }]
})

/** Programs take it as it is. It is good for its own app alone. */
const toCursor = (appId: number, position: number) => Base64Url.encode(`${appId}.${position}`)

const positionIn = (appId: number, cursor: string): Effect.Effect<number, Invalid> => {
  const text = Result.getOrElse(Base64Url.decodeString(cursor), () => "")
  const [, app, position] = /^(\d{1,15})\.(\d{1,15})$/.exec(text) ?? []
  return Number(app) === appId ? Effect.succeed(Number(position)) : Effect.fail(invalidCursor)
}

/** The strings that the meta of the sessions must have, from the query of a request. */
const metaOf = ({ url }: HttpServerRequest.HttpServerRequest): ReadonlyMap<string, string> => {
  const [, query = ""] = url.split("?", 2)
  const given = [...new URLSearchParams(query)].filter(([name]) => name.startsWith(Sessions.metaPrefix))
  return new Map(given.map(([name, value]) => [name.slice(Sessions.metaPrefix.length), value]))
}

/** Lets one caller of an app in at a time, until its scope closes. */
const makeGate = () => {
  const gates = new Map<number, { readonly permit: Semaphore.Semaphore; callers: number }>()
  const enter = (appId: number) =>
    Effect.sync(() => {
      const gate = gates.get(appId) ?? { permit: Semaphore.makeUnsafe(1), callers: 0 }
      gate.callers++
      gates.set(appId, gate)
      return gate
    })
  return Effect.fnUntraced(function* (appId: number) {
    const { permit } = yield* Effect.acquireRelease(enter(appId), (gate) =>
      Effect.sync(() => {
        if (--gate.callers === 0) gates.delete(appId)
      })
    )
    yield* Effect.timeoutOrElse(permit.takeScoped(1), {
      duration: maxWait,
      orElse: () => Effect.fail(new TooMany())
    })
  })
}

const encodeRow = Schema.encodeEffect(Schema.fromJsonString(Sessions.sessionState))

export const make = Effect.gen(function* () {
  const ledger = yield* Ledger
  const enter = makeGate()

  /** The body of a list of all that match, from its first page on. */
  const body = (of: SessionPages.Request, first: SessionPages.Page<Session>) => {
    let count = 0
    const toText = Effect.fnUntraced(function* ({ sessions }: SessionPages.Page<Session>) {
      let text = ""
      for (const session of sessions) text += (count++ === 0 ? "" : ",") + (yield* encodeRow(toState(session)))
      return text
    }, Effect.orDie)
    const pages = Stream.paginate(
      first.next,
      Effect.fnUntraced(function* (
        before: number | undefined
      ): Effect.fn.Return<readonly [ReadonlyArray<SessionPages.Page<Session>>, Option.Option<number>]> {
        // The response has begun: all that is left is to cut it.
        const page = yield* ledger
          .listSessions({ ...of, before })
          .pipe(Effect.tapError(StorageFailure.log), Effect.orDie)
        return [[page], Option.fromUndefinedOr(page.next)]
      })
    )
    return Stream.succeed(first).pipe(
      Stream.concat(pages),
      Stream.mapEffect(toText),
      (texts) => Stream.concat(Stream.succeed('{"ok":true,"sessions":['), texts),
      (start) =>
        Stream.concat(
          start,
          Stream.sync(() => `],"count":${count}}`)
        ),
      Stream.filter((text) => text !== ""),
      Stream.encodeText
    )
  }

  return Effect.fnUntraced(function* ({ query, request }: Request) {
    const { id: appId } = yield* CurrentApp
    const { cursor, include_closed: includeClosed, limit } = query
    const before = cursor === undefined ? undefined : yield* positionIn(appId, cursor)
    const of: SessionPages.Request = { appId, includeClosed, meta: metaOf(request), before, limit: limit ?? pageSize }
    const page = yield* ledger.listSessions(of)
    const { next } = page
    if (limit === undefined && next !== undefined) {
      yield* enter(appId)
      return HttpServerResponse.stream(body(of, page), { contentType: "application/json" })
    }
    const list = { ok: true as const, sessions: page.sessions.map(toState), count: page.sessions.length }
    return limit === undefined ? list : { ...list, nextCursor: next === undefined ? null : toCursor(appId, next) }
  })
})
