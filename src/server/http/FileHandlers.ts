/**
 * The handler of uploads.
 */
import { Duration, Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Api } from "../../api/Api.ts"
import { CurrentApp } from "../../api/Middlewares.ts"
import * as Wire from "../../wire/Files.ts"
import { AppTokens } from "../access/AppTokens.ts"
import * as UploadForm from "../files/UploadForm.ts"
import { Uploads, type Write } from "../files/Uploads.ts"
import { Shutdown } from "../Shutdown.ts"

const defaultTimeToLive = Duration.seconds(Wire.ttl.default)

export const layer = HttpApiBuilder.group(
  Api,
  "files",
  Effect.fnUntraced(function* (handlers) {
    const uploads = yield* Uploads
    const tokens = yield* AppTokens
    const { refusal } = yield* Shutdown
    return handlers.handleRaw(
      "upload",
      Effect.fnUntraced(function* ({ query, request }) {
        const { id } = yield* CurrentApp
        const receive = Effect.fnUntraced(function* (write: Write) {
          const { timeToLive, ...form } = yield* UploadForm.read(request, { maxSize: uploads.maxSize, write })
          return { ...form, timeToLive: timeToLive ?? query[Wire.ttlField] ?? defaultTimeToLive }
        })
        const { size, timeToLive, token } = yield* uploads
          .add(id, receive)
          .pipe(tokens.whileLive(id), Effect.raceFirst(refusal))
        return { token, timeToLive, size }
      })
    )
  })
)
