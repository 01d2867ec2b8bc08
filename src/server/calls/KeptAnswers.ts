/**
 * The record of keyed calls and their answers, so that a repeat gets the same answer, also after a restart.
 *
 * A call is recorded before its agent can act. Of the request only a hash is kept; the answer is kept whole, text included,
 * until the hard time to live is over or its session is deleted. The frames of the call's events are kept with it, and
 * deleted with it.
 */
import { Context, type DateTime, type Effect, type Option } from "effect"
import type { StorageUnavailable } from "../../api/Errors.ts"
import { sentences } from "../../wire/Failures.ts"
import type { SessionId } from "../../wire/Ids.ts"
import * as CallAnswer from "./CallAnswer.ts"
import type { Piece, ToKeep } from "./KeptFrames.ts"

/** The identity of a keyed call. The method is always POST. */
export interface CallId {
  readonly appId: number
  readonly path: string
  readonly key: string
}

/** A recorded call, and its answer or why there will be none. */
export interface KeptCall {
  readonly requestHash: string
  readonly answer: CallAnswer.CallAnswer
  /** How many frames it had; null where that is unknown. */
  readonly frames: number | null
}

/** How a call ended. */
export interface Ended extends CallId {
  readonly answer: CallAnswer.CallAnswer
  readonly frames: ToKeep
}

export class KeptAnswers extends Context.Service<
  KeptAnswers,
  {
    readonly find: (id: CallId) => Effect.Effect<Option.Option<KeptCall>, StorageUnavailable>
    /** Records the start of a call, unless it was recorded before: then returns that record. */
    readonly begin: (
      id: CallId & { readonly requestHash: string; readonly sessionId?: SessionId | undefined }
    ) => Effect.Effect<Option.Option<KeptCall>, StorageUnavailable>
    /** Records the answer to a call, and its frames. */
    readonly end: (call: Ended) => Effect.Effect<void, StorageUnavailable>
    /** The first piece of the frames of a call that has one after this number. */
    readonly framesAfter: (id: CallId, after: number) => Effect.Effect<Option.Option<Piece>, StorageUnavailable>
    /** Deletes the record of a call that did nothing. */
    readonly forget: (id: CallId) => Effect.Effect<void, StorageUnavailable>
    /** Deletes the records of a session. */
    readonly removeOfSession: (sessionId: SessionId) => Effect.Effect<void, StorageUnavailable>
    readonly removeOfApp: (appId: number) => Effect.Effect<void, StorageUnavailable>
    /** Deletes the answers that were recorded up to a time. */
    readonly removeBefore: (time: DateTime.Utc) => Effect.Effect<void, StorageUnavailable>
  }
>()("effect-clawdforge/server/calls/KeptAnswers") {}

/** The answer to a call that a restart of the server cut short. */
export const cutShort = CallAnswer.failed(sentences.cutByRestart, "error")

/** The answer to a call that failed with a defect, or whose answer could not be recorded. */
export const failed = CallAnswer.failed(sentences.cutByFailure, "error")

/** For now: the other server records the answer, so nothing is kept of this one, and a later repeat gets that. */
export const atAnotherServer: CallAnswer.CallAnswer = {
  status: 503,
  body: JSON.stringify({ detail: sentences.callElsewhere })
}
