/**
 * A small file of the data folder that only the server's user can read, written whole or not at all.
 */
import { Effect, FileSystem, Option } from "effect"

export const read = Effect.fnUntraced(function* (file: string) {
  const fs = yield* FileSystem.FileSystem
  return yield* fs.readFile(file).pipe(
    Effect.asSome,
    Effect.catchIf(
      ({ reason }) => reason._tag === "NotFound",
      () => Effect.succeed(Option.none<Uint8Array>())
    )
  )
})

/** Written to another file and renamed, so that a server that is killed leaves either none or all of it. */
export const write = Effect.fnUntraced(function* (file: string, content: Uint8Array) {
  const fs = yield* FileSystem.FileSystem
  const draft = `${file}.new`
  yield* fs.remove(draft, { force: true })
  yield* Effect.scoped(
    Effect.gen(function* () {
      const opened = yield* fs.open(draft, { flag: "wx", mode: 0o600 })
      yield* opened.writeAll(content)
      yield* opened.sync
    })
  )
  yield* fs.rename(draft, file)
})
