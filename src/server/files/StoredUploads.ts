/**
 * The uploads of a data folder: their content in files, what is known of them in the ledger.
 *
 * Of a token only its SHA-256 is kept, which also names the file on disk.
 */
import { Cause, Clock, Duration, Effect, FileSystem, Layer, Option, Path, Schema, Stream } from "effect"
import * as Digest from "effect/crypto/Digest"
import { SecureRandom } from "effect/crypto/SecureRandom"
import * as Base64Url from "effect/encoding/Base64Url"
import { SqlClient, type SqlError, SqlSchema } from "effect/sql"
import type { Attachment } from "../../agent/Agent.ts"
import { FileNotFound, StorageUnavailable, TooMany } from "../../api/Errors.ts"
import { fileToken } from "../../wire/Ids.ts"
import { DataFolder } from "../storage/DataFolder.ts"
import { isUnavailable, orUnavailable } from "../storage/StorageFailure.ts"
import * as FileName from "./FileName.ts"
import * as MediaType from "./MediaType.ts"
import { checkLimits, fileOverhead, limitsOf, type Options } from "./UploadLimits.ts"
import { checkCount, type Kept, type Received, type StageOptions, Upload, Uploads, type Write } from "./Uploads.ts"

interface Row {
  readonly sha256: string
}

const secretBytes = 24

/** The file must not exist yet. */
const exclusive = { flag: "wx", mode: 0o600, noFollow: true } as const

export const make = Effect.fnUntraced(function* (options: Options) {
  yield* checkLimits(options)
  const sql = yield* SqlClient.SqlClient
  const digest = yield* Digest.Digest
  const random = yield* SecureRandom
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const { uploads: folder } = yield* DataFolder
  const { maxAppUploads, maxUpload } = limitsOf(options)
  /** By app, the bytes of the files that are arriving. */
  const arriving = new Map<number, number>()

  const fileOf = (sha256: string) => path.join(folder, sha256)
  const sha256Of = (token: string) => digest.digestHex(Digest.sha256, new TextEncoder().encode(token))

  /** Rows are deleted before their files: a file without a row is removed at the next start. */
  const remove = Effect.fnUntraced(
    function* (rows: Effect.Effect<ReadonlyArray<Row>, SqlError.SqlError>) {
      const gone = yield* sql.withTransaction(
        Effect.tap(rows, (gone) =>
          Effect.forEach(gone, ({ sha256 }) => sql`DELETE FROM upload_sessions WHERE sha256 = ${sha256}`, {
            discard: true
          })
        )
      )
      for (const { sha256 } of gone) yield* fs.remove(fileOf(sha256), { force: true })
      return gone.length
    },
    Effect.uninterruptible,
    Effect.catchTag("PlatformError", Effect.die),
    orUnavailable
  )

  const sizeOfApp = Effect.fnUntraced(function* (appId: number) {
    const rows = yield* sql<{ readonly size: number | null }>`
      SELECT SUM(size + ${fileOverhead}) AS size FROM uploads WHERE app_id = ${appId}`
    return rows[0]?.size ?? 0
  }, orUnavailable)

  /** Counts what arrives of a file until the scope closes, and fails once its app exceeds its limit. */
  const countFile = Effect.fnUntraced(function* (appId: number) {
    const kept = yield* sizeOfApp(appId)
    let arrived = 0
    const add = (bytes: number) => {
      const all = (arriving.get(appId) ?? 0) + bytes
      if (all === 0) arriving.delete(appId)
      else arriving.set(appId, all)
      return all
    }
    yield* Effect.addFinalizer(() => Effect.sync(() => add(-arrived)))
    const count = (bytes: number) =>
      Effect.suspend(() => {
        arrived += bytes
        return kept + add(bytes) > maxAppUploads ? Effect.fail(new TooMany()) : Effect.void
      })
    yield* count(fileOverhead)
    return count
  })

  /** Checks the limit again, since `countFile` knows only the size that the app had when the file began to arrive. */
  const insert = Effect.fnUntraced(
    function* (appId: number, sha256: string, { contentType, name, size, timeToLive }: Received) {
      if ((yield* sizeOfApp(appId)) + size + fileOverhead > maxAppUploads) return yield* new TooMany()
      const now = yield* Clock.currentTimeMillis
      const expiresAt = now + Duration.toMillis(timeToLive)
      const row = {
        sha256,
        app_id: appId,
        name: FileName.clean(name),
        media_type: MediaType.of({ contentType, name }) ?? null,
        size,
        created_at: now,
        expires_at: expiresAt
      }
      yield* sql`INSERT INTO uploads ${sql.insert(row)}`
    },
    sql.withTransaction,
    Effect.catchTag("SqlError", (cause) => Effect.fail(StorageUnavailable.from(cause)))
  )

  /** Removes what was stored of a failed upload. It has no row if that is what could not be written. */
  const discard = Effect.fnUntraced(function* (sha256: string, cause: Cause.Cause<unknown>) {
    const hasNoRow = Option.exists(Cause.findErrorOption(cause), isUnavailable)
    if (!hasNoRow) yield* Effect.ignore(sql`DELETE FROM uploads WHERE sha256 = ${sha256}`)
    yield* Effect.orDie(fs.remove(fileOf(sha256), { force: true }))
  }, Effect.uninterruptible)

  const add = Effect.fn("Uploads.add")(function* <E, R>(
    appId: number,
    receive: (write: Write) => Effect.Effect<Received, E, R>
  ) {
    const token = `ff_${Base64Url.encode(yield* random.randomBytes(secretBytes))}`
    const sha256 = yield* sha256Of(token)
    const write = Effect.gen(function* () {
      const count = yield* countFile(appId)
      const file = yield* Effect.orDie(fs.open(fileOf(sha256), exclusive))
      const received = yield* receive((content) =>
        Effect.andThen(count(content.byteLength), Effect.orDie(file.writeAll(content)))
      )
      yield* insert(appId, sha256, received)
      return received
    })
    const received = yield* Effect.scoped(write).pipe(Effect.onError((cause) => discard(sha256, cause)))
    const kept: Kept = { ...received, token: fileToken(token) }
    return kept
  })

  const findOne = SqlSchema.findOne({
    Request: Schema.Struct({ appId: Schema.Int, sha256: Schema.String, now: Schema.Finite }),
    Result: Upload,
    execute: ({ appId, now, sha256 }) =>
      sql`SELECT sha256, name, size, media_type AS "mediaType" FROM uploads
        WHERE sha256 = ${sha256} AND app_id = ${appId} AND expires_at > ${now}`
  })

  const find = Effect.fn("Uploads.find")(function* (of: {
    readonly appId: number
    readonly tokens: ReadonlyArray<string>
  }) {
    yield* checkCount(of.tokens)
    const now = yield* Clock.currentTimeMillis
    return yield* Effect.forEach(of.tokens, (token) =>
      sha256Of(token).pipe(
        Effect.flatMap((sha256) => findOne({ appId: of.appId, sha256, now })),
        Effect.catchTags({
          NoSuchElementError: () => Effect.fail(new FileNotFound()),
          SchemaError: Effect.die,
          SqlError: (cause) => Effect.fail(StorageUnavailable.from(cause))
        })
      )
    )
  })

  const copy = Effect.fnUntraced(function* (upload: Upload, target: string) {
    const file = yield* Effect.orDie(fs.open(target, exclusive))
    yield* fs.stream(fileOf(upload.sha256)).pipe(
      Stream.catchTag("PlatformError", (error) =>
        error.reason._tag === "NotFound" ? Stream.fail(new FileNotFound()) : Stream.die(error)
      ),
      Stream.runForEach((content) => Effect.orDie(file.writeAll(content)))
    )
  }, Effect.scoped)

  /** Copied where no agent works, and moved as one folder: nothing is written in a folder that the agent can change. */
  const stage = Effect.fn("Uploads.stage")(function* (uploads: ReadonlyArray<Upload>, options: StageOptions) {
    if (uploads.length === 0) return []
    return yield* Effect.acquireUseRelease(
      Effect.orDie(fs.makeTempDirectory({ directory: folder, prefix: "attachments-" })),
      Effect.fnUntraced(function* (prepared) {
        const folder = path.join(options.cwd, path.basename(prepared))
        const attachments = yield* Effect.forEach(
          uploads,
          Effect.fnUntraced(function* (upload, index) {
            const file = `attachment-${index + 1}${FileName.extension(upload.name)}`
            yield* copy(upload, path.join(prepared, file))
            const attachment: Attachment = {
              name: upload.name,
              path: path.join(folder, file),
              size: upload.size,
              mediaType: upload.mediaType ?? undefined,
              stored: fileOf(upload.sha256)
            }
            return attachment
          })
        )
        if (options.sessionId !== undefined) yield* recordUse(options.sessionId, uploads)
        yield* Effect.orDie(fs.rename(prepared, folder))
        return attachments
      }),
      (prepared) => Effect.orDie(fs.remove(prepared, { recursive: true, force: true }))
    )
  })

  const recordUse = Effect.fnUntraced(function* (sessionId: string, uploads: ReadonlyArray<Upload>) {
    for (const { sha256 } of uploads) {
      yield* sql`INSERT INTO upload_sessions ${sql.insert({ session_id: sessionId, sha256 })} ON CONFLICT DO NOTHING`
    }
  }, orUnavailable)

  const sweepExpired = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    return yield* remove(sql<Row>`DELETE FROM uploads WHERE expires_at <= ${now} RETURNING sha256`)
  }).pipe(Effect.withSpan("Uploads.sweepExpired"))

  /** Removes what a killed server left: incomplete files, and copies that were not moved yet. */
  const removeLeftovers = Effect.gen(function* () {
    const rows = yield* sql<Row>`SELECT sha256 FROM uploads`
    const known = new Set(rows.map(({ sha256 }) => sha256))
    for (const name of yield* fs.readDirectory(folder)) {
      if (!known.has(name)) yield* fs.remove(path.join(folder, name), { recursive: true, force: true })
    }
  }).pipe(Effect.catchTag("PlatformError", Effect.die), orUnavailable)

  yield* removeLeftovers
  return Uploads.of({
    maxSize: maxUpload,
    maxAppSize: maxAppUploads,
    add,
    find,
    stage,
    sweepExpired,
    removeOfApp: Effect.fn("Uploads.removeOfApp")(function* (appId: number) {
      yield* remove(sql<Row>`DELETE FROM uploads WHERE app_id = ${appId} RETURNING sha256`)
    }),
    removeOfSession: Effect.fn("Uploads.removeOfSession")(function* (sessionId: string) {
      yield* remove(sql<Row>`DELETE FROM uploads
        WHERE sha256 IN (SELECT sha256 FROM upload_sessions WHERE session_id = ${sessionId}) RETURNING sha256`)
    })
  })
})

export const layer = (options: Options) => Layer.effect(Uploads, make(options))
