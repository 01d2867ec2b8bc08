/**
 * What the endpoint of runs does.
 */
import { Invalid } from "../../api/Errors.ts"
import { Duration, Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Api } from "../../api/Api.ts"
import { CurrentApp } from "../../api/Middlewares.ts"
import * as Wire from "../../wire/Runs.ts"
import { AppTokens } from "../access/AppTokens.ts"
import { Calls } from "../calls/Calls.ts"
import { Runs } from "../runs/Runs.ts"
import * as SystemPrompts from "../SystemPrompts.ts"
import * as Timeouts from "../Timeouts.ts"
import { Uploads } from "../files/Uploads.ts"
import * as CallAnswer from "../calls/CallAnswer.ts"
import * as CallResponse from "./CallResponse.ts"
import * as JsonBody from "./JsonBody.ts"

const read = JsonBody.reader(Wire.RunRequest)
const encode = CallAnswer.from(Wire.RunResponse)

export const layer = HttpApiBuilder.group(
  Api,
  "runs",
  Effect.fnUntraced(function* (handlers) {
    const runs = yield* Runs
    const uploads = yield* Uploads
    const tokens = yield* AppTokens
    const calls = yield* Calls
    const { minimum } = Timeouts
    const maximum = yield* Timeouts.Maximum
    const range = `must be from ${Duration.toSeconds(minimum)} to ${Duration.toSeconds(maximum)}`
    return handlers.handleRaw(
      "run",
      Effect.fnUntraced(function* ({ headers, query, request }) {
        const app = yield* CurrentApp
        const { json, payload } = yield* read(request)
        const { effort, files, model, prompt, timeout } = payload
        const run = Effect.gen(function* () {
          const limit = timeout ?? Duration.min(Timeouts.byDefault, maximum)
          if (!Duration.between(limit, { minimum, maximum })) {
            return yield* Invalid.body("timeout_secs", range)
          }
          const { usage, ...done } = yield* runs
            .run({
              app,
              prompt,
              files: yield* uploads.find({ appId: app.id, tokens: files ?? [] }),
              model: model ?? undefined,
              effort: effort ?? undefined,
              system: SystemPrompts.from(payload),
              timeout: limit
            })
            .pipe(tokens.whileLive(app.id))
          return { ok: true as const, ...done, ...(query.usage && usage !== undefined ? { usage } : {}) }
        })
        const call = { appId: app.id, path: Wire.path, key: headers["idempotency-key"], body: json }
        return yield* CallResponse.renderJson(yield* calls.start(call, () => encode(run)))
      })
    )
  })
)
