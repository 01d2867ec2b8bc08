import { assert, describe, it } from "@effect/vitest"
import { ByteSize, Context, Deferred, Duration, Effect, Exit, Fiber, FileSystem, Layer, Queue, Redacted } from "effect"
import { SqlClient } from "effect/sql"
import { TestClock } from "effect/testing"
import * as DataFolder from "../../../src/server/storage/DataFolder.ts"
import * as Uploads from "../../../src/server/files/Uploads.ts"
import * as StoredUploads from "../../../src/server/files/StoredUploads.ts"
import { storage } from "../storage/Support.ts"

const withUploads = Effect.provide(Layer.provideMerge(StoredUploads.layer({}), storage))

const bytes = (text: string) => new TextEncoder().encode(text)

const add = Effect.fnUntraced(function* (appId: number, text: string, timeToLive: Duration.Input = "1 hour") {
  const uploads = yield* Uploads.Uploads
  const { token } = yield* uploads.add(
    appId,
    Effect.fnUntraced(function* (write) {
      yield* write(bytes(text))
      return { name: "a.txt", size: text.length, timeToLive: Duration.fromInputUnsafe(timeToLive) }
    })
  )
  return Redacted.value(token)
})

const isThere = Effect.fnUntraced(function* (appId: number, token: string) {
  const uploads = yield* Uploads.Uploads
  return Exit.isSuccess(yield* Effect.exit(uploads.find({ appId, tokens: [token] })))
})

/** The names of the files, and how many rows there are. */
const kept = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const sql = yield* SqlClient.SqlClient
  const files = yield* fs.readDirectory((yield* DataFolder.DataFolder).uploads)
  const rows = yield* sql`SELECT sha256 FROM uploads`
  const used = yield* sql`SELECT sha256 FROM upload_sessions`
  return { files: files.length, rows: rows.length, used: used.length }
})

describe("Uploads", () => {
  it.effect("an expired upload is not found, whether it was swept or not", () =>
    Effect.gen(function* () {
      const uploads = yield* Uploads.Uploads
      const short = yield* add(1, "short", "60 seconds")
      const long = yield* add(1, "long", "2 minutes")
      yield* TestClock.adjust("59 seconds")
      assert.isTrue(yield* isThere(1, short))
      assert.strictEqual(yield* uploads.sweepExpired, 0)
      yield* TestClock.adjust("1 second")
      assert.isFalse(yield* isThere(1, short))
      assert.deepStrictEqual(yield* kept, { files: 2, rows: 2, used: 0 })
      assert.strictEqual(yield* uploads.sweepExpired, 1)
      assert.deepStrictEqual(yield* kept, { files: 1, rows: 1, used: 0 })
      assert.isTrue(yield* isThere(1, long))
    }).pipe(withUploads)
  )

  it.effect("an upload keeps its media type, which its copies for an agent have too", () =>
    Effect.gen(function* () {
      const uploads = yield* Uploads.Uploads
      const fs = yield* FileSystem.FileSystem
      const cwd = yield* fs.makeTempDirectoryScoped()
      const typeOf = Effect.fnUntraced(function* (name: string, contentType?: string) {
        const timeToLive = Duration.hours(1)
        const { token } = yield* uploads.add(1, () => Effect.succeed({ name, contentType, size: 0, timeToLive }))
        const found = yield* uploads.find({ appId: 1, tokens: [Redacted.value(token)] })
        return (yield* uploads.stage(found, { cwd }))[0]?.mediaType
      })
      assert.strictEqual(yield* typeOf("scan", "image/png"), "image/png")
      assert.strictEqual(yield* typeOf("list.csv"), "text/csv")
      assert.isUndefined(yield* typeOf("scan"))
    }).pipe(withUploads)
  )

  it.effect("uploads belong to one app, and are removed with it", () =>
    Effect.gen(function* () {
      const uploads = yield* Uploads.Uploads
      const first = yield* add(1, "first")
      const second = yield* add(2, "second")
      assert.isFalse(yield* isThere(2, first))
      yield* uploads.removeOfApp(1)
      assert.isFalse(yield* isThere(1, first))
      assert.isTrue(yield* isThere(2, second))
      assert.deepStrictEqual(yield* kept, { files: 1, rows: 1, used: 0 })
    }).pipe(withUploads)
  )

  it.effect("uploads are removed with the session that used them", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const uploads = yield* Uploads.Uploads
      const used = yield* add(1, "used")
      yield* add(1, "not used")
      const cwd = yield* fs.makeTempDirectoryScoped()
      const found = yield* uploads.find({ appId: 1, tokens: [used] })
      for (const sessionId of ["s", "s", "t"]) yield* uploads.stage(found, { cwd, sessionId })
      assert.deepStrictEqual(yield* kept, { files: 2, rows: 2, used: 2 })
      yield* uploads.removeOfSession("other")
      assert.isTrue(yield* isThere(1, used))
      yield* uploads.removeOfSession("s")
      assert.isFalse(yield* isThere(1, used))
      assert.deepStrictEqual(yield* kept, { files: 1, rows: 1, used: 0 })
      assert.lengthOf(yield* fs.readDirectory(cwd), 3)
      // They count as used before the session has them: a server may be killed in between.
      const again = yield* uploads.find({ appId: 1, tokens: [yield* add(1, "again")] })
      assert.isTrue(Exit.isFailure(yield* Effect.exit(uploads.stage(again, { cwd: `${cwd}/gone`, sessionId: "u" }))))
      yield* uploads.removeOfSession("u")
      assert.deepStrictEqual(yield* kept, { files: 1, rows: 1, used: 0 })
    }).pipe(withUploads)
  )

  it.effect("removing uploads is completed when it is interrupted", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const asked = yield* Deferred.make<void>()
      const goOn = yield* Deferred.make<void>()
      const slow: typeof fs.remove = (path, options) =>
        Deferred.succeed(asked, undefined).pipe(
          Effect.andThen(Deferred.await(goOn)),
          Effect.andThen(fs.remove(path, options))
        )
      const uploads = yield* Effect.provideService(StoredUploads.make({}), FileSystem.FileSystem, {
        ...fs,
        remove: slow
      })
      for (const text of ["one", "two"]) yield* Effect.provideService(add(1, text), Uploads.Uploads, uploads)
      const removing = yield* Effect.forkChild(uploads.removeOfApp(1))
      yield* Deferred.await(asked)
      const leaving = yield* Effect.forkChild(Fiber.interrupt(removing), { startImmediately: true })
      yield* Deferred.succeed(goOn, undefined)
      yield* Fiber.join(leaving)
      assert.deepStrictEqual(yield* kept, { files: 0, rows: 0, used: 0 })
    }).pipe(Effect.provide(storage))
  )

  it.effect("an upload that fails or is interrupted leaves nothing", () =>
    Effect.gen(function* () {
      const uploads = yield* Uploads.Uploads
      const failed = yield* Effect.flip(uploads.add(1, (write) => Effect.andThen(write(bytes("x")), Effect.fail("no"))))
      assert.strictEqual(failed, "no")
      const started = yield* Deferred.make<void>()
      const adding = yield* Effect.forkChild(
        uploads.add(1, (write) =>
          write(bytes("x")).pipe(Effect.andThen(Deferred.succeed(started, undefined)), Effect.andThen(Effect.never))
        )
      )
      yield* Deferred.await(started)
      assert.deepStrictEqual(yield* kept, { files: 1, rows: 0, used: 0 })
      yield* Fiber.interrupt(adding)
      assert.deepStrictEqual(yield* kept, { files: 0, rows: 0, used: 0 })
      // Also where it is the very end that fails, when all of it had been kept.
      const late = uploads.add(1, (write) =>
        Effect.addFinalizer(() => Effect.die("too late")).pipe(
          Effect.andThen(write(bytes("x"))),
          Effect.as({ name: "late", size: 1, timeToLive: Duration.hours(1) })
        )
      )
      assert.isTrue(Exit.isFailure(yield* Effect.exit(late)))
      assert.deepStrictEqual(yield* kept, { files: 0, rows: 0, used: 0 })
    }).pipe(withUploads)
  )

  it.effect("the uploads of an app stay within its limit, including those that are arriving", () => {
    const room = 4_096
    const layer = StoredUploads.layer({ maxAppUploads: ByteSize.bytes(2 * room + 20) })
    return Effect.gen(function* () {
      const uploads = yield* Uploads.Uploads
      yield* add(1, "x".repeat(10))
      const started = yield* Queue.unbounded<void>()
      const goOn = yield* Deferred.make<void>()
      const slow = (size: number) =>
        uploads.add(
          1,
          Effect.fnUntraced(function* (write) {
            yield* write(new Uint8Array(size))
            yield* Queue.offer(started, undefined)
            yield* Deferred.await(goOn)
            return { name: "slow", size, timeToLive: Duration.hours(1) }
          })
        )
      assert.strictEqual((yield* Effect.flip(slow(11)))._tag, "TooMany")
      const first = yield* Effect.forkChild(slow(5))
      yield* Queue.take(started)
      assert.strictEqual((yield* Effect.flip(slow(0)))._tag, "TooMany")
      assert.isTrue(Exit.isSuccess(yield* Effect.exit(add(2, "another app"))))
      yield* Deferred.succeed(goOn, undefined)
      yield* Fiber.join(first)
      assert.strictEqual((yield* Effect.flip(add(1, "")))._tag, "TooMany")
      assert.deepStrictEqual(yield* kept, { files: 3, rows: 3, used: 0 })
      yield* uploads.removeOfApp(1)
      yield* add(1, "x".repeat(10))
    }).pipe(Effect.provide(layer.pipe(Layer.provideMerge(storage))))
  })

  it.effect("uploads that end at the same time stay within the limit", () => {
    const room = 4_096
    const layer = StoredUploads.layer({ maxAppUploads: ByteSize.bytes(3 * room) })
    return Effect.gen(function* () {
      const uploads = yield* Uploads.Uploads
      const held = yield* Deferred.make<void>()
      const started = yield* Deferred.make<void>()
      // It has seen no other file at its start, and what has arrived since is kept by its end.
      const early = yield* Effect.forkChild(
        uploads.add(
          1,
          Effect.fnUntraced(function* (write) {
            yield* Deferred.succeed(started, undefined)
            yield* Deferred.await(held)
            yield* write(new Uint8Array(room))
            return { name: "early", size: room, timeToLive: Duration.hours(1) }
          })
        )
      )
      yield* Deferred.await(started)
      yield* add(1, "x".repeat(room))
      yield* Deferred.succeed(held, undefined)
      assert.strictEqual((yield* Effect.flip(Fiber.join(early)))._tag, "TooMany")
      assert.deepStrictEqual(yield* kept, { files: 1, rows: 1, used: 0 })
    }).pipe(Effect.provide(layer.pipe(Layer.provideMerge(storage))))
  })

  it.effect("staging an upload that was removed fails, and leaves nothing", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const uploads = yield* Uploads.Uploads
      const tokens = [yield* add(1, "stays"), yield* add(1, "goes", "60 seconds")]
      const cwd = yield* fs.makeTempDirectoryScoped()
      const found = yield* uploads.find({ appId: 1, tokens })
      yield* TestClock.adjust("60 seconds")
      yield* uploads.sweepExpired
      const error = yield* Effect.flip(uploads.stage(found, { cwd }))
      assert.strictEqual(error._tag, "FileNotFound")
      assert.deepStrictEqual(yield* fs.readDirectory(cwd), [])
      assert.deepStrictEqual(yield* kept, { files: 1, rows: 1, used: 0 })
    }).pipe(withUploads)
  )

  it.effect("staged files are copies, so an agent that changes them changes no upload", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const uploads = yield* Uploads.Uploads
      const found = yield* uploads.find({ appId: 1, tokens: [yield* add(1, "the content")] })
      const cwd = yield* fs.makeTempDirectoryScoped()
      const [first] = yield* uploads.stage(found, { cwd })
      yield* fs.writeFileString(first?.path ?? "", "changed")
      const [second] = yield* uploads.stage(found, { cwd })
      assert.strictEqual(yield* fs.readFileString(second?.path ?? ""), "the content")
      assert.deepStrictEqual([second?.name, second?.size], ["a.txt", 11])
    }).pipe(withUploads)
  )

  it.effect("incomplete files of a killed server are removed at the next start, and complete uploads stay", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const { uploads: folder } = yield* DataFolder.DataFolder
      const scope = yield* Effect.scope
      const first = yield* Layer.buildWithScope(Layer.fresh(StoredUploads.layer({})), scope)
      const token = yield* Effect.provide(add(1, "whole"), first)
      yield* fs.writeFileString(`${folder}/half`, "hal")
      yield* fs.makeDirectory(`${folder}/attachments-abc`)
      yield* fs.writeFileString(`${folder}/attachments-abc/attachment-1`, "copy")
      const second = yield* Layer.buildWithScope(Layer.fresh(StoredUploads.layer({})), scope)
      assert.lengthOf(yield* fs.readDirectory(folder), 1)
      const found = yield* Context.get(second, Uploads.Uploads).find({ appId: 1, tokens: [token] })
      assert.strictEqual(yield* fs.readFileString(`${folder}/${found[0]?.sha256}`), "whole")
    }).pipe(Effect.provide(storage))
  )
})
