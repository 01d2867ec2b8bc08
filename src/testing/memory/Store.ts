/**
 * What a server in memory keeps.
 */
import type { DateTime } from "effect"
import type { SessionId } from "../../wire/Ids.ts"
import type { App } from "../../server/access/AppTokens.ts"
import type { CallAnswer } from "../../server/calls/CallAnswer.ts"
import type { Piece } from "../../server/calls/KeptFrames.ts"
import type { Upload } from "../../server/files/Uploads.ts"
import type { Session, SessionEvent } from "../../server/storage/Ledger.ts"

export interface SessionRow {
  readonly seq: number
  session: Session
  /** Whether its newest turn has begun and not ended. */
  inTurn: boolean
}

export interface EventRow extends SessionEvent {
  readonly sessionId: string
}

export interface UploadRow extends Upload {
  readonly appId: number
  readonly content: Uint8Array
  readonly expiresAt: number
  readonly sessions: Set<string>
}

export interface CallRow {
  readonly appId: number
  readonly requestHash: string
  sessionId: SessionId | undefined
  at: DateTime.Utc
  answer: CallAnswer | undefined
  frames: number | null
  pieces: ReadonlyArray<Piece>
}

export interface Store {
  /** By token. */
  readonly apps: Map<string, App>
  /** Oldest first. */
  readonly sessions: Map<SessionId, SessionRow>
  events: Array<EventRow>
  /** By token. */
  readonly uploads: Map<string, UploadRow>
  /** The content of the files that agents were given, by their path. */
  readonly attachments: Map<string, Uint8Array>
  readonly calls: Map<string, CallRow>
  /** A number that was not returned before. */
  readonly next: () => number
}

export const make = (): Store => {
  let last = 0
  return {
    apps: new Map(),
    sessions: new Map(),
    events: [],
    uploads: new Map(),
    attachments: new Map(),
    calls: new Map(),
    next: () => ++last
  }
}
