/**
 * Copies a folder with all that is in it: files with their modes, links as they are. Other kinds of files are left out.
 */
import { Effect, FileSystem, Option, Path, type PlatformError } from "effect"

/** How many files of a folder are copied at a time. */
const concurrency = 16

export const make = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path

  const copyInto: (from: string, to: string) => Effect.Effect<void, PlatformError.PlatformError> = Effect.fnUntraced(
    function* (from, to) {
      const copyOne = Effect.fnUntraced(function* (name: string) {
        const [source, target] = [path.join(from, name), path.join(to, name)]
        const link = yield* Effect.option(fs.readLink(source))
        if (Option.isSome(link)) return yield* fs.symlink(link.value, target)
        const { mode, type } = yield* fs.stat(source)
        if (type === "File") return yield* fs.copyFile(source, target)
        if (type !== "Directory") return
        yield* fs.makeDirectory(target)
        yield* copyInto(source, target)
        yield* fs.chmod(target, mode & 0o777)
      })
      yield* Effect.forEach(yield* fs.readDirectory(from), copyOne, { concurrency, discard: true })
    }
  )
  return copyInto
})
