/**
 * Files that apps uploaded for their agents to read.
 *
 * A file is identified by a token, which is returned once. It does not exist for other apps, nor for any app once it has
 * expired.
 */
import { type ByteSize, Context, type Duration, Effect, Schema } from "effect"
import type { Attachment } from "../../agent/Agent.ts"
import { type FileNotFound, Invalid, type StorageUnavailable, type TooMany } from "../../api/Errors.ts"
import type { FileToken } from "../../wire/Ids.ts"

/** The row of an upload. */
export const Upload = Schema.Struct({
  sha256: Schema.String,
  name: Schema.String,
  size: Schema.Int,
  /** Null where it is not known. */
  mediaType: Schema.NullOr(Schema.String)
})
export type Upload = typeof Upload.Type

/** A file that has arrived completely. */
export interface Received {
  /** As the client gave it. */
  readonly name: string
  /** As the client gave it; see `MediaType.of`. */
  readonly contentType?: string | undefined
  readonly size: number
  readonly timeToLive: Duration.Duration
}

/** A stored file, and its token. */
export interface Kept extends Received {
  readonly token: FileToken
}

/** Stores the content of a file, chunk by chunk. */
export type Write = (content: Uint8Array) => Effect.Effect<void, TooMany>

/** For whom files are staged. */
export interface StageOptions {
  /** The working directory of the agent. */
  readonly cwd: string
  /** The session that uses them: they are removed with its text. */
  readonly sessionId?: string | undefined
}

export class Uploads extends Context.Service<
  Uploads,
  {
    /** The largest size of a file. */
    readonly maxSize: ByteSize.ByteSize
    /** The largest size of all files of one app. */
    readonly maxAppSize: ByteSize.ByteSize
    /** Stores what `receive` writes, within the limit of its app. Nothing is left if that fails. */
    readonly add: <E, R>(
      appId: number,
      receive: (write: Write) => Effect.Effect<Received, E, R>
    ) => Effect.Effect<Kept, E | StorageUnavailable | TooMany, R>
    /** The uploads of these tokens, in their order. */
    readonly find: (of: {
      readonly appId: number
      readonly tokens: ReadonlyArray<string>
    }) => Effect.Effect<ReadonlyArray<Upload>, FileNotFound | Invalid | StorageUnavailable>
    /** Copies uploads into an agent's working directory. Fails if one was removed since it was found. */
    readonly stage: (
      uploads: ReadonlyArray<Upload>,
      options: StageOptions
    ) => Effect.Effect<ReadonlyArray<Attachment>, FileNotFound | StorageUnavailable>
    /** Removes the expired uploads, and returns how many there were. */
    readonly sweepExpired: Effect.Effect<number, StorageUnavailable>
    /** Removes all uploads of an app. */
    readonly removeOfApp: (appId: number) => Effect.Effect<void, StorageUnavailable>
    /** Removes all uploads that a session used. */
    readonly removeOfSession: (sessionId: string) => Effect.Effect<void, StorageUnavailable>
  }
>()("effect-clawdforge/server/files/Uploads") {}

/** The most files of a turn or run. */
const maxFiles = 32

/** Refuses a turn or run with too many files. */
export const checkCount = (tokens: ReadonlyArray<string>): Effect.Effect<void, Invalid> =>
  tokens.length > maxFiles ? Effect.fail(Invalid.body("files", `must not be more than ${maxFiles}`)) : Effect.void
