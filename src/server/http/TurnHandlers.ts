/**
 * The handlers of turns and of their cancellation.
 */
import { Duration, Effect, Stream } from "effect"
import { SecureRandom } from "effect/crypto/SecureRandom"
import { SessionIsClosed } from "../../api/Errors.ts"
import { CurrentApp, CurrentSession } from "../../api/Middlewares.ts"
import * as Paths from "../../wire/Paths.ts"
import * as Turns from "../../wire/Turns.ts"
import * as CallAnswer from "../calls/CallAnswer.ts"
import { Calls } from "../calls/Calls.ts"
import { Uploads } from "../files/Uploads.ts"
import { SessionEngine } from "../sessions/SessionEngine.ts"
import * as Timeouts from "../Timeouts.ts"
import * as CallRequest from "./CallRequest.ts"
import * as CallResponse from "./CallResponse.ts"
import * as JsonBody from "./JsonBody.ts"
import * as TurnAnswer from "./TurnAnswer.ts"

const read = JsonBody.reader(Turns.TurnRequest)
const encode = CallAnswer.from(Turns.TurnResponse)

export const make = Effect.gen(function* () {
  const calls = yield* Calls
  const engine = yield* SessionEngine
  const random = yield* SecureRandom
  const uploads = yield* Uploads
  const readCall = yield* CallRequest.reader
  const countStream = yield* CallResponse.streamLimit
  const timeouts = { minimum: Timeouts.minimum, maximum: yield* Timeouts.Maximum }
  return {
    turn: Effect.fnUntraced(function* ({ headers, request }: CallRequest.Request) {
      const { closedAt, id: sessionId } = yield* CurrentSession
      const { id: appId } = yield* CurrentApp
      const { json, payload } = yield* read(request)
      const options = yield* readCall({ headers, request }, payload)
      const { after, asEvents, key } = options
      const timeout = Duration.clamp(payload.timeout ?? Timeouts.byDefault, timeouts)
      const findFiles = Effect.gen(function* () {
        if (closedAt !== null) return yield* new SessionIsClosed()
        return yield* uploads.find({ appId, tokens: payload.files ?? [] })
      })
      // A cancel names the turn by the key of its call.
      const id = key ?? (yield* random.uuidV4())
      const turn = Stream.unwrap(
        Effect.map(findFiles, (files) => engine.turn(sessionId, { id, prompt: payload.prompt, files, timeout }))
      )
      // Refused before the turn starts: a stream over the limit costs the session nothing.
      if (asEvents) yield* countStream(appId)
      const path = Paths.turn.of(sessionId)
      const call = yield* calls.start({ ...options, appId, path, sessionId, body: json }, (feed) =>
        encode(TurnAnswer.make(sessionId, turn, feed))
      )
      return yield* asEvents ? CallResponse.renderEvents(call, after) : CallResponse.renderJson(call)
    }),
    cancel: Effect.fnUntraced(function* ({ headers }: Pick<CallRequest.Request, "headers">) {
      const { id: sessionId } = yield* CurrentSession
      const { id: appId } = yield* CurrentApp
      const key = headers["idempotency-key"]
      // The engine waits for a turn that has not reached it yet: only the turn of a running call can still do so.
      const mayExist = key === undefined || (yield* calls.isRunning({ appId, path: Paths.turn.of(sessionId), key }))
      return { ok: true as const, cancelled: mayExist && (yield* engine.cancel(sessionId, key)) }
    })
  }
})
