/**
 * The id under which this server owns sessions and calls in the ledger, which it may share with other servers.
 *
 * It is made once and kept in the data folder, so that it goes where the folder goes. Where its file is lost, the id is taken
 * over from the ledger.
 */
import { Context, Effect, Layer, Option, type PlatformError } from "effect"
import { SecureRandom } from "effect/crypto/SecureRandom"
import { SqlClient } from "effect/sql"
import { StartFailed } from "../StartFailed.ts"
import { DataFolder } from "./DataFolder.ts"
import * as PrivateFile from "./PrivateFile.ts"
import { orUnavailable } from "./StorageFailure.ts"

export class Owner extends Context.Service<Owner, { readonly id: string }>()(
  "effect-clawdforge/server/storage/Owner"
) {}

const pattern = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** The owners of what is open in the ledger. */
const ownersInLedger = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const rows = yield* sql<{ readonly owner: string }>`
    SELECT owner FROM sessions WHERE closed_at IS NULL AND owner IS NOT NULL
    UNION SELECT owner FROM kept_answers WHERE status IS NULL AND owner IS NOT NULL`
  return rows.map(({ owner }) => owner)
}).pipe(orUnavailable)

export const make = Effect.gen(function* () {
  const random = yield* SecureRandom
  const { owner: file } = yield* DataFolder
  const unusable = (why: string, cause?: PlatformError.PlatformError) =>
    new StartFailed({ message: `the id of this server in ${file} cannot be used: ${why}`, cause })

  const found = yield* Effect.mapError(PrivateFile.read(file), (cause) => unusable(cause.message, cause))
  if (Option.isSome(found)) {
    const id = new TextDecoder().decode(found.value).trim()
    return pattern.test(id) ? Owner.of({ id }) : yield* unusable("it is not an id")
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
  yield* Effect.mapError(PrivateFile.write(file, new TextEncoder().encode(id)), (cause) =>
    unusable(cause.message, cause)
  )
  return Owner.of({ id })
})

export const layer = Layer.effect(Owner, make)
