/**
 * The record of keyed calls of a server in memory.
 */
import { DateTime, Effect, Layer, Option } from "effect"
import { type CallId, failed, type KeptCall, KeptAnswers } from "../../server/calls/KeptAnswers.ts"
import type { CallRow, Store } from "./Store.ts"

const nameOf = ({ appId, key, path }: CallId) => JSON.stringify([appId, path, key])

export const make = (store: Store): KeptAnswers["Service"] => {
  const find = (id: CallId) =>
    Option.map(
      Option.fromUndefinedOr(store.calls.get(nameOf(id))),
      ({ answer = failed, frames, requestHash }): KeptCall => ({ answer, frames, requestHash })
    )

  const removeWhere = (isGone: (row: CallRow) => boolean) =>
    Effect.sync(() => {
      for (const [name, row] of store.calls) if (isGone(row)) store.calls.delete(name)
    })

  return {
    find: (id) => Effect.sync(() => find(id)),
    begin: Effect.fnUntraced(function* ({ requestHash, sessionId, ...id }) {
      const at = yield* DateTime.now
      const known = find(id)
      if (Option.isNone(known)) {
        const row = { appId: id.appId, requestHash, sessionId, at, answer: undefined, frames: null, pieces: [] }
        store.calls.set(nameOf(id), row)
      }
      return known
    }),
    end: Effect.fnUntraced(function* ({ answer, frames: { count, pieces }, ...id }) {
      const at = yield* DateTime.now
      const row = store.calls.get(nameOf(id))
      if (row === undefined) return
      const { body, sessionId, status } = answer
      Object.assign(row, { at, pieces, frames: count, answer: { body, status }, sessionId: row.sessionId ?? sessionId })
    }),
    framesAfter: (id, after) =>
      Effect.sync(() =>
        Option.fromUndefinedOr(store.calls.get(nameOf(id))?.pieces.find((piece) => piece.last > after))
      ),
    forget: (id) => Effect.sync(() => store.calls.delete(nameOf(id))),
    removeOfSession: (sessionId) => removeWhere((row) => row.sessionId === sessionId),
    removeOfApp: (appId) => removeWhere((row) => row.appId === appId),
    removeBefore: (time) =>
      removeWhere(({ answer, at }) => answer !== undefined && DateTime.isLessThanOrEqualTo(at, time))
  }
}

export const layer = (store: Store) => Layer.succeed(KeptAnswers, make(store))
