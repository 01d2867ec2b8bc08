/**
 * What a server in memory keeps.
 */
import { Clock, type DateTime, Effect } from "effect"
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

export interface StoredFile {
  readonly content: Uint8Array
  readonly modifiedAt: number
  /** Another one whenever it was written. */
  readonly version: number
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
  /** The files in the folders of sessions and workspaces, by their absolute path. */
  readonly files: Map<string, StoredFile>
  readonly calls: Map<string, CallRow>
  /** A number that was not returned before. */
  readonly next: () => number
}

/** Puts a file in the place of what is there. */
export const putFile = (store: Store, path: string, content: Uint8Array): Effect.Effect<StoredFile> =>
  Effect.map(Clock.currentTimeMillis, (modifiedAt) => {
    const file = { content, modifiedAt, version: store.next() }
    store.files.set(path, file)
    return file
  })

export const make = (): Store => {
  let last = 0
  return {
    apps: new Map(),
    sessions: new Map(),
    events: [],
    uploads: new Map(),
    files: new Map(),
    calls: new Map(),
    next: () => ++last
  }
}
