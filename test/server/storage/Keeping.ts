/** A file system that does not remove everything, which root would see on few disks. */
import { Effect, FileSystem, PlatformError } from "effect"

const refusal = (path: string) =>
  PlatformError.systemError({
    _tag: "PermissionDenied",
    module: "FileSystem",
    method: "remove",
    pathOrDescriptor: path
  })

/** One that removes nothing, as long as `isKept` says so of it. */
export const keeping = (isKept: (path: string) => Effect.Effect<boolean, PlatformError.PlatformError>) =>
  Effect.updateService(FileSystem.FileSystem, (fs) =>
    FileSystem.FileSystem.of({
      ...fs,
      remove: (path, options) =>
        Effect.flatMap(isKept(path), (isKept) => (isKept ? Effect.fail(refusal(path)) : fs.remove(path, options)))
    })
  )
