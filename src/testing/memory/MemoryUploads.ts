/**
 * The uploads of a server in memory.
 */
import { ByteSize, Clock, Duration, Effect, Layer } from "effect"
import { SecureRandom } from "effect/crypto/SecureRandom"
import * as Base64Url from "effect/encoding/Base64Url"
import type { Attachment } from "../../agent/Agent.ts"
import { FileNotFound, TooMany } from "../../api/Errors.ts"
import { fileToken } from "../../wire/Ids.ts"
import * as FileName from "../../server/files/FileName.ts"
import * as MediaType from "../../server/files/MediaType.ts"
import * as UploadLimits from "../../server/files/UploadLimits.ts"
import { checkCount, type Received, Uploads, type Write } from "../../server/files/Uploads.ts"
import { concat } from "../ResponseBody.ts"
import { putFile, type Store, type UploadRow } from "./Store.ts"

const secretBytes = 24

export const make = Effect.fnUntraced(function* (store: Store, options: UploadLimits.Options) {
  yield* UploadLimits.checkLimits(options)
  const random = yield* SecureRandom
  const { maxAppUploads, maxUpload } = UploadLimits.limitsOf(options)
  let staged = 0

  const sizeOfApp = (appId: number) =>
    [...store.uploads.values()]
      .filter((row) => row.appId === appId)
      .reduce((sum, { size }) => sum + size + UploadLimits.fileOverhead, 0)

  const removeWhere = (isGone: (row: UploadRow) => boolean) =>
    Effect.sync(() => {
      const gone = [...store.uploads].filter(([, row]) => isGone(row))
      for (const [token] of gone) store.uploads.delete(token)
      return gone.length
    })

  const add = Effect.fnUntraced(function* <E, R>(
    appId: number,
    receive: (write: Write) => Effect.Effect<Received, E, R>
  ) {
    const chunks: Array<Uint8Array> = []
    let size = UploadLimits.fileOverhead
    const check = () => (sizeOfApp(appId) + size > maxAppUploads ? Effect.fail(new TooMany()) : Effect.void)
    yield* check()
    const received = yield* receive((content) =>
      Effect.suspend(() => {
        chunks.push(content.slice())
        size += content.byteLength
        return check()
      })
    )
    const token = `ff_${Base64Url.encode(yield* random.randomBytes(secretBytes))}`
    store.uploads.set(token, {
      sha256: token,
      appId,
      name: FileName.clean(received.name),
      mediaType: MediaType.of(received) ?? null,
      size: received.size,
      content: concat(chunks),
      expiresAt: (yield* Clock.currentTimeMillis) + Duration.toMillis(received.timeToLive),
      sessions: new Set()
    })
    return { ...received, token: fileToken(token) }
  })

  return Uploads.of({
    maxSize: ByteSize.fromInputUnsafe(maxUpload),
    maxAppSize: ByteSize.fromInputUnsafe(maxAppUploads),
    add,
    find: Effect.fnUntraced(function* ({ appId, tokens }) {
      yield* checkCount(tokens)
      const now = yield* Clock.currentTimeMillis
      return yield* Effect.forEach(tokens, (token) => {
        const row = store.uploads.get(token)
        return row === undefined || row.appId !== appId || row.expiresAt <= now
          ? Effect.fail(new FileNotFound())
          : Effect.succeed(row)
      })
    }),
    stage: Effect.fnUntraced(function* (uploads, { cwd, sessionId }) {
      const folder = `${cwd}/attachments-${++staged}`
      return yield* Effect.forEach(uploads, ({ mediaType, name, sha256, size }, index) => {
        const row = store.uploads.get(sha256)
        if (row === undefined) return Effect.fail(new FileNotFound())
        if (sessionId !== undefined) row.sessions.add(sessionId)
        const path = `${folder}/attachment-${index + 1}${FileName.extension(name)}`
        const attachment: Attachment = { name, path, size, mediaType: mediaType ?? undefined }
        return Effect.as(putFile(store, path, row.content), attachment)
      })
    }),
    sweepExpired: Effect.flatMap(Clock.currentTimeMillis, (now) => removeWhere(({ expiresAt }) => expiresAt <= now)),
    removeOfApp: (appId) => Effect.asVoid(removeWhere((row) => row.appId === appId)),
    removeOfSession: (sessionId) => Effect.asVoid(removeWhere(({ sessions }) => sessions.has(sessionId)))
  })
})

export const layer = (store: Store, options: UploadLimits.Options) => Layer.effect(Uploads, make(store, options))
