/**
 * The files of a session, over the calls of a server.
 */
import { Effect, Stream } from "effect"
import type { FilesError, Status } from "../ForgeError.ts"
import type { SessionFiles } from "../SessionFiles.ts"
import type { SessionId } from "../SessionInfo.ts"
import * as Paths from "../wire/Paths.ts"
import * as Files from "./calls/Files.ts"
import * as Health from "./calls/Health.ts"
import * as Multipart from "./calls/Multipart.ts"
import type { Operation } from "./calls/Operation.ts"
import * as Calls from "./calls/SessionFiles.ts"
import * as Sessions from "./calls/Sessions.ts"
import type { Exchange } from "./exchange/Exchange.ts"

export const make = ({ download, send }: Exchange) => {
  /** Refuses the call on a server that has no such thing, which would say only that there is no such path. */
  const check = Effect.fnUntraced(function* (
    operation: Operation<Status, unknown>
  ): Effect.fn.Return<void, FilesError> {
    const { features } = yield* send(Health.get, {})
    if (!features.includes("files")) return yield* Sessions.refuseOptions(operation, ["files"])
  })

  return (id: SessionId): SessionFiles => {
    const ofFolder = { path: Paths.sessionFiles.of(id), sessionId: id }
    const ofFile = { path: Paths.fileContent.of(id), sessionId: id }
    return {
      list: Effect.fnUntraced(function* (options) {
        const query = yield* Calls.prepareList(options)
        yield* check(Calls.list)
        return yield* send(Calls.list, { ...ofFolder, query })
      }),
      read: (path, options) =>
        Stream.unwrap(
          Effect.gen(function* () {
            const prepared = yield* Calls.prepareRead(path, options)
            yield* check(Calls.read)
            return download(Calls.read, { ...ofFile, ...prepared })
          })
        ),
      write: Effect.fnUntraced(function* (path, content, options) {
        const { source, ...prepared } = yield* Calls.prepareWrite(path, content, options)
        yield* check(Calls.write)
        const { readable, reading } = yield* Multipart.observe(Files.measured(source))
        return yield* reading(send(Calls.write, { ...ofFile, ...prepared, body: Calls.body(readable) }))
      })
    }
  }
}
