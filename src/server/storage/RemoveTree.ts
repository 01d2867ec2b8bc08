/**
 * Removes a folder that agents worked in, also where they left folders that nobody may write to, as package managers do.
 */
import { Effect, FileSystem, Path } from "effect"

/** Who owns a folder may change what is in it, whatever its mode was. */
const ownerOnly = 0o700

export const make = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path

  /** As far as this user can: what stays locked is seen when it cannot be removed. */
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
   * Nobody waits for the room that a folder takes, so one that stays is only logged: the next start of the server tries
   * again. The agents that worked in it must be dead by then.
   */
  return Effect.fnUntraced(function* (folder: string) {
    const remove = fs.remove(folder, { recursive: true, force: true })
    const unlockAndRemove = Effect.gen(function* () {
      // What a link leads to was somebody's before the agent came.
      const isLink = yield* Effect.isSuccess(fs.readLink(folder))
      if (!isLink) yield* unlock(folder)
      yield* remove
    })
    yield* Effect.catch(remove, () => unlockAndRemove).pipe(
      Effect.catch((error) => Effect.logError(`${folder} could not be removed`, error))
    )
  })
})
