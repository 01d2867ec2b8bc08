/**
 * The stateless calls behind the client, for tests of one request at a time: no handle orders them, no scope closes what
 * they open.
 */
import { Context, Effect, Layer } from "effect"
import type { HttpClient } from "effect/http"
import * as Sessions from "../../src/internal/calls/Sessions.ts"
import * as Turns from "../../src/internal/calls/Turns.ts"
import * as Protocol from "../../src/internal/Protocol.ts"
import * as Settings from "../../src/internal/Settings.ts"
import type { ForgeClient, ForgeError, SessionInfo, Turn } from "../../src/index.ts"

export class Calls extends Context.Service<
  Calls,
  {
    readonly create: (
      options?: SessionInfo.SessionOptions
    ) => Effect.Effect<SessionInfo.SessionInfo, ForgeError.CreateError>
    readonly get: Protocol.Protocol["getSession"]
    readonly turn: (
      id: SessionInfo.SessionId,
      prompt: string,
      options?: Turn.TurnOptions
    ) => Effect.Effect<Turn.Turn, ForgeError.TurnError>
    readonly cancel: (id: SessionInfo.SessionId) => Effect.Effect<boolean, ForgeError.CancelError>
    readonly close: (id: SessionInfo.SessionId) => Effect.Effect<void, ForgeError.CloseError>
  }
>()("test/support/Calls") {}

export const make = Effect.fnUntraced(function* (options: ForgeClient.Options) {
  const protocol = yield* Protocol.make(yield* Settings.check(options))
  return Calls.of({
    create: Effect.fnUntraced(function* (options) {
      const { join } = yield* protocol.createSession(yield* Sessions.prepareCreate(options))
      return yield* join
    }),
    get: protocol.getSession,
    turn: Effect.fnUntraced(function* (id, prompt, options) {
      return yield* protocol.turn(id, yield* Turns.prepare(prompt, options), () => Effect.void)
    }),
    cancel: (id) => protocol.cancelTurn(id),
    close: protocol.closeSession
  })
})

export const layer = (
  options: ForgeClient.Options
): Layer.Layer<Calls, ForgeError.ApiError<422>, HttpClient.HttpClient> => Layer.effect(Calls, make(options))
