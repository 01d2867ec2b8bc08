/**
 * What the endpoint of runs does.
 */
import { Duration, Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Api, CurrentApp } from "../api/Api.ts"
import { AppTokens } from "./AppTokens.ts"
import { Runs } from "./Runs.ts"
import * as Timeouts from "./Timeouts.ts"
import { Uploads } from "./Uploads.ts"
import * as Validation from "./Validation.ts"

export const layer = HttpApiBuilder.group(
  Api,
  "runs",
  Effect.fnUntraced(function* (handlers) {
    const runs = yield* Runs
    const uploads = yield* Uploads
    const tokens = yield* AppTokens
    const { minimum } = Timeouts
    const maximum = yield* Timeouts.Maximum
    const range = `must be from ${Duration.toSeconds(minimum)} to ${Duration.toSeconds(maximum)}`
    return handlers.handleAll({
      run: Effect.fnUntraced(function* ({ payload, query }) {
        const app = yield* CurrentApp
        const { effort, files, model, prompt, system, systemMode, timeout } = payload
        const limit = timeout ?? Duration.min(Timeouts.byDefault, maximum)
        if (!Duration.between(limit, { minimum, maximum })) return yield* Validation.invalidBody("timeout_secs", range)
        const { usage, ...done } = yield* runs
          .run({
            app,
            prompt,
            files: yield* uploads.find({ appId: app.id, tokens: files ?? [] }),
            model: model ?? undefined,
            effort: effort ?? undefined,
            system: system ? { text: system, mode: systemMode ?? "append" } : undefined,
            timeout: limit
          })
          .pipe(tokens.whileLive(app.id))
        return { ok: true as const, ...done, ...(query.usage && usage !== undefined ? { usage } : {}) }
      })
    })
  })
)
