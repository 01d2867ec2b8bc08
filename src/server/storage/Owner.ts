/**
 * The id under which this server owns sessions and calls in the ledger, which it may share with other servers.
 *
 * It is made once and kept in the data folder, so that it goes where the folder goes. Where its file is lost, the id is taken
 * over from the ledger.
 */
import { Context, Effect, FileSystem, Layer, Option, type PlatformError } from "effect"
import { SecureRandom } from "effect/crypto/SecureRandom"
import { SqlClient } from "effect/sql"
import { StartFailed } from "../StartFailed.ts"
import { DataFolder } from "./DataFolder.ts"
import { orUnavailable } from "./StorageFailure.ts"

export class Owner extends Context.Service<Owner, { readonly id: string }>()(
  "effect-clawdforge/server/storage/Owner"
) {}

const pattern = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

const read = (fs: FileSystem.FileSystem, file: string) =>
  fs.readFileString(file).pipe(
    Effect.map((id) => Option.some(id.trim())),
    Effect.catchIf(
      ({ reason }) => reason._tag === "NotFound",
      () => Effect.succeedNone
    )
  )

/** Written to another file and renamed, so that a server that is killed leaves either no id or all of it. */
const write = Effect.fnUntraced(function* (fs: FileSystem.FileSystem, file: string, id: string) {
  const draft = `${file}.new`
  yield* fs.remove(draft, { force: true })
  yield* Effect.scoped(
    Effect.gen(function* () {
      const opened = yield* fs.open(draft, { flag: "wx", mode: 0o600 })
      yield* opened.writeAll(new TextEncoder().encode(id))
      yield* opened.sync
    })
  )
  yield* fs.rename(draft, file)
})

/** The owners of what is open in the ledger. */
const ownersInLedger = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const rows = yield* sql<{ readonly owner: string }>`
    SELECT owner FROM sessions WHERE closed_at IS NULL AND owner IS NOT NULL
    UNION SELECT owner FROM kept_answers WHERE status IS NULL AND owner IS NOT NULL`
  return rows.map(({ owner }) => owner)
}).pipe(orUnavailable)

export const make = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const random = yield* SecureRandom
  const { owner: file } = yield* DataFolder
  const unusable = (why: string, cause?: PlatformError.PlatformError) =>
    new StartFailed({ message: `the id of this server in ${file} cannot be used: ${why}`, cause })

  const found = yield* Effect.mapError(read(fs, file), (cause) => unusable(cause.message, cause))
  if (Option.isSome(found)) {
    return pattern.test(found.value) ? Owner.of({ id: found.value }) : yield* unusable("it is not an id")
  }
  // A new id would disown every session in the ledger. Only one server uses a data folder, and so the ledger in it: the
  // only owner of its sessions was this server.
  const [lost, ...others] = yield* ownersInLedger
  if (others.length > 0) {
    return yield* unusable(
      "the file is missing, and the ledger has open sessions of several servers: restore the file from a backup"
    )
  }
  if (lost !== undefined)
    yield* Effect.logWarning(`the id of this server was taken over from its ledger: ${file} was missing`)
  const id = lost ?? (yield* random.uuidV4())
  yield* Effect.mapError(write(fs, file, id), (cause) => unusable(cause.message, cause))
  return Owner.of({ id })
})

export const layer = Layer.effect(Owner, make)
