/**
 * The id under which this server owns sessions and calls in the ledger, which it may share with other servers.
 *
 * It is made once and kept in the data folder, so that it goes where the folder goes.
 */
import { Context, Effect, FileSystem, Layer, Option, type PlatformError } from "effect"
import { SecureRandom } from "effect/crypto/SecureRandom"
import { StartFailed } from "../StartFailed.ts"
import { DataFolder } from "./DataFolder.ts"

export class Owner extends Context.Service<Owner, { readonly id: string }>()(
  "effect-clawdforge/server/storage/Owner"
) {}

const pattern = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

const read = (fs: FileSystem.FileSystem, file: string) =>
  fs.readFileString(file).pipe(
    Effect.asSome,
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

export const make = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const random = yield* SecureRandom
  const { owner: file } = yield* DataFolder
  const unusable = (why: string, cause?: PlatformError.PlatformError) =>
    new StartFailed({ message: `the id of this server in ${file} cannot be used: ${why}`, cause })

  const found = yield* Effect.mapError(read(fs, file), (cause) => unusable(cause.message, cause))
  if (Option.isSome(found)) {
    // A new id would disown every session in the ledger.
    return pattern.test(found.value) ? Owner.of({ id: found.value }) : yield* unusable("it is not an id")
  }
  const id = yield* random.uuidV4()
  yield* Effect.mapError(write(fs, file, id), (cause) => unusable(cause.message, cause))
  return Owner.of({ id })
})

export const layer = Layer.effect(Owner, make)
