/**
 * Which app a request comes from, and that it asks for nothing of another one.
 */
import { Effect, Layer, Option, Redacted } from "effect"
import { HttpRouter } from "effect/http"
import { AppAccess, CurrentApp, CurrentSession, SessionAccess, SessionNotFound, Unauthorized } from "../api/Api.ts"
import { sentences } from "../api/schema/Failures.ts"
import { AppTokens } from "./AppTokens.ts"
import { Ledger } from "./Ledger.ts"

/** The app of the bearer. */
export const layerApp = Layer.effect(
  AppAccess,
  Effect.gen(function* () {
    const tokens = yield* AppTokens
    return AppAccess.of({
      bearer: Effect.fnUntraced(function* (httpEffect, { credential }) {
        if (Redacted.value(credential) === "") return yield* new Unauthorized({ detail: sentences.missingBearer })
        const app = yield* tokens.find(credential)
        if (Option.isNone(app)) return yield* new Unauthorized({ detail: sentences.invalidToken })
        return yield* Effect.provideService(httpEffect, CurrentApp, app.value)
      })
    })
  })
)

/** The session of the path, as the ledger has it, where it is the app's own. */
export const layerSession = Layer.effect(
  SessionAccess,
  Effect.gen(function* () {
    const ledger = yield* Ledger
    return SessionAccess.of(
      Effect.fnUntraced(function* (httpEffect) {
        const { id: appId } = yield* CurrentApp
        const { id } = yield* HttpRouter.params
        const session = yield* ledger.findSession({ sessionId: id ?? "", appId })
        if (Option.isNone(session)) return yield* new SessionNotFound()
        return yield* Effect.provideService(httpEffect, CurrentSession, session.value)
      })
    )
  })
)
