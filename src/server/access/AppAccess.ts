/**
 * Authenticates the app of a request, and keeps it from the sessions of other apps.
 */
import { Effect, Layer, Option, Redacted } from "effect"
import { HttpRouter, HttpServerRequest } from "effect/http"
import { AddressNotAllowed, SessionNotFound, Unauthorized } from "../../api/Errors.ts"
import { AppAccess, CurrentApp, CurrentSession, SessionAccess } from "../../api/Middlewares.ts"
import { sentences } from "../../wire/Failures.ts"
import { AppTokens } from "./AppTokens.ts"
import { Ledger, toState } from "../storage/Ledger.ts"
import { Networks } from "./Networks.ts"

/** Whether a token is allowed from the client's address. A token's networks do not include loopback by default. */
const isAllowed = Effect.fnUntraced(function* ({ parse }: Networks["Service"], cidrs: ReadonlyArray<string>) {
  const { remoteAddress } = yield* HttpServerRequest.HttpServerRequest
  const { contains } = yield* Effect.orDie(parse(cidrs))
  return Option.exists(remoteAddress, contains)
})

/** Finds the app of the bearer token. */
export const layerApp = Layer.effect(
  AppAccess,
  Effect.gen(function* () {
    const networks = yield* Networks
    const tokens = yield* AppTokens
    return AppAccess.of({
      appToken: Effect.fnUntraced(function* (httpEffect, { credential }) {
        if (Redacted.value(credential) === "") return yield* new Unauthorized({ detail: sentences.missingBearer })
        const app = yield* tokens.find(credential)
        if (Option.isNone(app)) return yield* new Unauthorized({ detail: sentences.invalidToken })
        const { ipCidrs } = app.value
        if (ipCidrs !== null && !(yield* isAllowed(networks, ipCidrs))) return yield* new AddressNotAllowed()
        return yield* httpEffect.pipe(
          Effect.provideService(CurrentApp, app.value),
          Effect.annotateLogs("app", app.value.name)
        )
      })
    })
  })
)

/** Finds the session in the path, if it belongs to the app. */
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
        const state = toState(session.value)
        return yield* httpEffect.pipe(
          Effect.provideService(CurrentSession, state),
          Effect.annotateLogs({ session: state.id, agent: state.agent })
        )
      })
    )
  })
)
