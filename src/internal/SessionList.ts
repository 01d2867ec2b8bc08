/**
 * The sessions of an app, read page by page. A server without `pages` ignores the bounds of a page and sends all sessions.
 */
import { Effect, Option, Stream } from "effect"
import type { ListError } from "../ForgeError.ts"
import type { ListOptions, SessionFilter, SessionState } from "../SessionInfo.ts"
import * as Wire from "../wire/Sessions.ts"
import * as Sessions from "./calls/Sessions.ts"
import { callOf } from "./calls/Operation.ts"
import * as TransportFailure from "./failure/TransportFailure.ts"
import type { Protocol } from "./Protocol.ts"

/** How many sessions a stream reads at once. */
const streamedPage = 100

/** How many sessions are listed unless the caller says so. */
const defaultLimit = 1_000

/** A server that sends the cursor of a page with that page would be asked for it forever. */
const sameAgain = ({ origin }: Protocol) =>
  TransportFailure.malformed(
    callOf(Sessions.list),
    { status: 200, origin, requestId: undefined },
    "the next page is this one again"
  )

type Page = readonly [ReadonlyArray<SessionState>, Option.Option<Option.Option<string>>]

const pages = (protocol: Protocol, prepared: Sessions.PreparedList, size: number) =>
  Stream.paginate(
    Option.none<string>(),
    Effect.fnUntraced(function* (cursor: Option.Option<string>): Effect.fn.Return<Page, ListError> {
      const { next, sessions } = yield* protocol.listSessions(Sessions.pageQuery(prepared, size, cursor))
      const listed = sessions.filter((session) => Sessions.hasMeta(prepared, session))
      if (Option.isSome(next) && Option.contains(cursor, next.value)) return yield* sameAgain(protocol)
      return [listed, Option.map(next, Option.some)]
    })
  )

/** All sessions, each page when it is needed. */
export const stream = (protocol: Protocol, options?: SessionFilter): Stream.Stream<SessionState, ListError> =>
  Stream.unwrap(Effect.map(Sessions.prepareList(options), (prepared) => pages(protocol, prepared, streamedPage)))

/** The newest sessions, as many as the limit. */
export const upTo = Effect.fnUntraced(function* (
  protocol: Protocol,
  options?: ListOptions
): Effect.fn.Return<ReadonlyArray<SessionState>, ListError> {
  const prepared = yield* Sessions.prepareList(options)
  const { limit = defaultLimit } = prepared
  return yield* pages(protocol, prepared, Math.min(limit, Wire.maxPage)).pipe(Stream.take(limit), Stream.runCollect)
})
