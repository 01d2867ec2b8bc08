/**
 * Removes a folder in which agents worked, including read-only folders in it, such as those of package managers.
 */
import { Effect, FileSystem, Path } from "effect"

/** The mode in which the owner of a folder can change its content. */
const ownerOnly = 0o700

export const make = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path

  /** Errors are ignored: what stays read-only fails to be removed, which is reported. */
  const unlock: (folder: string) => Effect.Effect<void> = Effect.fnUntraced(
    function* (folder) {
      yield* fs.chmod(folder, ownerOnly)
      for (const { name, type } of yield* fs.readDirectoryEntries(folder)) {
        if (type === "Directory") yield* unlock(path.join(folder, name))
      }
    },
    (unlocking) => Effect.ignore(unlocking)
  )

  /**
   * A folder that cannot be removed is only logged: the next start of the server tries again. The agents that worked in it
   * must have ended.
   */
  return Effect.fnUntraced(function* (folder: string) {
    const remove = fs.remove(folder, { recursive: true, force: true })
    const unlockAndRemove = Effect.gen(function* () {
      // What a link points to is not the agent's.
      const isLink = yield* Effect.isSuccess(fs.readLink(folder))
      if (!isLink) yield* unlock(folder)
      yield* remove
    })
    yield* Effect.catch(remove, () => unlockAndRemove).pipe(
      Effect.catch((error) => Effect.logError(`${folder} could not be removed`, error))
    )
  })
})
