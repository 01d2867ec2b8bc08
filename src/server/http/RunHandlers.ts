/**
 * The handler of runs.
 */
import { Duration, Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Api } from "../../api/Api.ts"
import { Invalid } from "../../api/Errors.ts"
import { CurrentApp } from "../../api/Middlewares.ts"
import * as Paths from "../../wire/Paths.ts"
import * as Wire from "../../wire/Runs.ts"
import { AppTokens } from "../access/AppTokens.ts"
import * as CallAnswer from "../calls/CallAnswer.ts"
import type { CallFeed } from "../calls/CallFeed.ts"
import { Calls } from "../calls/Calls.ts"
import type * as RunningCall from "../calls/RunningCall.ts"
import { Uploads } from "../files/Uploads.ts"
import { Runs } from "../runs/Runs.ts"
import * as SystemPrompts from "../SystemPrompts.ts"
import * as Timeouts from "../Timeouts.ts"
import * as CallRequest from "./CallRequest.ts"
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
    const readCall = yield* CallRequest.reader
    const countStream = yield* CallResponse.streamLimit
    const { minimum } = Timeouts
    const maximum = yield* Timeouts.Maximum
    const range = `must be from ${Duration.toSeconds(minimum)} to ${Duration.toSeconds(maximum)}`

    const run = Effect.fnUntraced(function* (app: CurrentApp["Service"], request: Wire.RunRequest, feed: CallFeed) {
      const timeout = request.timeout ?? Duration.min(Timeouts.byDefault, maximum)
      if (!Duration.between(timeout, { minimum, maximum })) return yield* Invalid.body("timeout_secs", range)
      return yield* runs
        .run({
          app,
          agent: request.agent ?? undefined,
          prompt: request.prompt,
          files: yield* uploads.find({ appId: app.id, tokens: request.files ?? [] }),
          model: request.model ?? undefined,
          effort: request.effort ?? undefined,
          system: SystemPrompts.from(request),
          timeout,
          onEvent: feed.offer
        })
        .pipe(tokens.whileLive(app.id))
    })

    return handlers.handleRaw(
      "run",
      Effect.fnUntraced(function* ({ headers, query, request }) {
        const app = yield* CurrentApp
        const { json, payload } = yield* read(request)
        const options = yield* readCall({ headers, request }, payload)
        const { after, asEvents } = options
        // Refused before the run starts.
        if (asEvents) yield* countStream(app.id)
        const work: RunningCall.Work = (feed) =>
          encode(
            Effect.map(run(app, payload, feed), ({ usage, ...done }) => ({
              ok: true as const,
              ...done,
              ...(query.usage && usage !== undefined ? { usage } : {})
            }))
          )
        const call = yield* calls.start({ ...options, appId: app.id, path: Paths.run, body: json }, work)
        return yield* asEvents ? CallResponse.renderEvents(call, after) : CallResponse.renderJson(call)
      })
    )
  })
)
