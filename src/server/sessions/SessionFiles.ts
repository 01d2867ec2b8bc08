/**
 * The files in the folders of open sessions, within the limits of their apps.
 */
import { ByteSize, Effect, Stream } from "effect"
import { TooLarge, TooMany } from "../../api/Errors.ts"
import type { SessionId } from "../../wire/Ids.ts"
import { Uploads } from "../files/Uploads.ts"
import * as UploadLimits from "../files/UploadLimits.ts"
import { type Condition, Folders } from "../folders/Folders.ts"

/** A file to write into the folder of a session. */
export interface NewFile<E> {
  readonly path: string
  readonly condition: Condition
  readonly content: Stream.Stream<Uint8Array, E>
}

/** Where a session works, and whose it is. */
export interface Place {
  readonly appId: number
  readonly sessionId: SessionId
  readonly folder: string
}

export const make = Effect.gen(function* () {
  const folders = yield* Folders
  const { maxAppSize, maxSize } = yield* Uploads
  /** The sizes of the files that were written into each session, by path, with the app that wrote them. */
  const written = new Map<SessionId, { readonly appId: number; readonly sizes: Map<string, number> }>()

  /** What the files of an app take, except one that is being replaced. */
  const sizeOfApp = (appId: number, but: { readonly sessionId: SessionId; readonly path: string }) => {
    let sum = 0
    for (const [sessionId, { appId: of, sizes }] of written) {
      if (of !== appId) continue
      for (const [path, size] of sizes) {
        if (sessionId !== but.sessionId || path !== but.path) sum += size + UploadLimits.fileOverhead
      }
    }
    return sum
  }

  const note = ({ appId, sessionId }: Place, path: string, size: number) => {
    const known = written.get(sessionId) ?? { appId, sizes: new Map<string, number>() }
    written.set(sessionId, known)
    known.sizes.set(path, size)
  }

  return {
    list: ({ folder }: Place, options: { readonly path: string; readonly depth: number }) =>
      folders.list(folder, options),
    open: ({ folder }: Place, path: string) => folders.open(folder, path),
    write: Effect.fnUntraced(function* <E>(place: Place, { condition, content, path }: NewFile<E>) {
      const room = ByteSize.toNumberUnsafe(maxAppSize) - UploadLimits.fileOverhead
      const others = sizeOfApp(place.appId, { sessionId: place.sessionId, path })
      let size = 0
      const within = Stream.tap(content, ({ byteLength }): Effect.Effect<void, TooLarge | TooMany> => {
        size += byteLength
        if (size > maxSize) return Effect.fail(new TooLarge())
        return others + size > room ? Effect.fail(new TooMany()) : Effect.void
      })
      if (others > room) return yield* new TooMany()
      const file = yield* folders.write(place.folder, { path, condition, content: within })
      note(place, path, file.size)
      return file
    }),
    /** Forgets what was written into a session, whose folder is gone. */
    forget: (sessionId: SessionId) => Effect.sync(() => written.delete(sessionId))
  }
})
