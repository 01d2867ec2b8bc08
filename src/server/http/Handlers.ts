/**
 * What the endpoints do.
 */
import { Duration, Effect, Layer, Option, Stream } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { clientInfo } from "../../agent/acp/ClientInfo.ts"
import { Api, CreateRequest } from "../../api/Api.ts"
import { Invalid, SessionIsClosed } from "../../api/Errors.ts"
import { CurrentApp, CurrentSession } from "../../api/Middlewares.ts"
import * as Sessions from "../../wire/Sessions.ts"
import * as Turns from "../../wire/Turns.ts"
import * as AdminHandlers from "./AdminHandlers.ts"
import * as CallResponse from "./CallResponse.ts"
import * as JsonBody from "./JsonBody.ts"
import { Agents } from "../agents/Agents.ts"
import { InstalledAgents } from "../agents/InstalledAgents.ts"
import { AppTokens } from "../access/AppTokens.ts"
import * as FileHandlers from "./FileHandlers.ts"
import { Calls } from "../calls/Calls.ts"
import { Ledger, type SessionEvent } from "../storage/Ledger.ts"
import { Readiness } from "../upkeep/Readiness.ts"
import * as RunHandlers from "./RunHandlers.ts"
import { SessionEngine } from "../sessions/SessionEngine.ts"
import * as SystemPrompts from "../SystemPrompts.ts"
import * as Timeouts from "../Timeouts.ts"
import * as TurnAnswer from "./TurnAnswer.ts"
import { Uploads } from "../files/Uploads.ts"
import * as CallAnswer from "../calls/CallAnswer.ts"

/** What the server adds to the contract. */
const features = ["cancel", "events", "idempotency", "ready", "request_id", "session_options", "stream", "usage"]

/** As many events of a session as one answer has. */
const maxEvents = 1_000

const toEvent = ({ at, detail, kind, seq, turnIndex }: SessionEvent): Sessions.Event => ({
  seq,
  at,
  kind,
  ...(turnIndex === null ? {} : { turnIndex }),
  ...(detail === null ? {} : { detail })
})

const readCreate = JsonBody.reader(CreateRequest)
const readTurn = JsonBody.reader(Turns.TurnRequest)

const encodeTurn = CallAnswer.from(Turns.TurnResponse)
const encodeCreated = CallAnswer.from(Sessions.Created, ({ sessionId }) => sessionId)

const system = HttpApiBuilder.group(
  Api,
  "system",
  Effect.fnUntraced(function* (handlers) {
    const installed = yield* InstalledAgents
    const engine = yield* SessionEngine
    const readiness = yield* Readiness
    return handlers.handleAll({
      ready: Effect.fnUntraced(function* () {
        yield* readiness.check
        return { ok: true as const }
      }),
      health: Effect.fnUntraced(function* () {
        return {
          ok: true,
          claudePresent: installed.claude,
          claudeVersion: Option.getOrNull(installed.claudeVersion),
          // Other servers drive their agents by a program of that name; this one does it itself.
          acpxPresent: installed.any,
          acpxVersion: clientInfo.version,
          openSessions: yield* engine.size,
          features
        }
      })
    })
  })
)

const sessions = HttpApiBuilder.group(
  Api,
  "sessions",
  Effect.fnUntraced(function* (handlers) {
    const agents = yield* Agents
    const engine = yield* SessionEngine
    const ledger = yield* Ledger
    const tokens = yield* AppTokens
    const uploads = yield* Uploads
    const calls = yield* Calls
    const countStream = yield* CallResponse.streamLimit
    const timeouts = { minimum: Timeouts.minimum, maximum: yield* Timeouts.Maximum }
    return handlers
      .handleRaw(
        "create",
        Effect.fnUntraced(function* ({ headers, request }) {
          const app = yield* CurrentApp
          const { json, payload } = yield* readCreate(request)
          const create = Effect.gen(function* () {
            const agent = agents.find(payload.agent)
            if (Option.isNone(agent)) {
              const has = agents.names.join(", ")
              return yield* Invalid.body("agent", `no agent of this name: the server has ${has}`)
            }
            const session = yield* engine
              .open({
                app,
                agent: agent.value,
                model: payload.model ?? null,
                effort: payload.effort ?? undefined,
                system: SystemPrompts.from(payload),
                meta: payload.meta ?? null
              })
              .pipe(tokens.whileLive(app.id))
            return { ok: true as const, ...session }
          })
          const call = { appId: app.id, path: Sessions.path, key: headers["idempotency-key"], body: json }
          return yield* CallResponse.renderJson(yield* calls.start(call, () => encodeCreated(create)))
        })
      )
      .handleRaw(
        "turn",
        Effect.fnUntraced(function* ({ headers, request }) {
          const { closedAt, sessionId } = yield* CurrentSession
          const { id: appId } = yield* CurrentApp
          const { json, payload } = yield* readTurn(request)
          const timeout = Duration.clamp(payload.timeout ?? Timeouts.byDefault, timeouts)
          const findFiles = Effect.gen(function* () {
            if (closedAt !== null) return yield* new SessionIsClosed()
            return yield* uploads.find({ appId, tokens: payload.files ?? [] })
          })
          const turn = (cancel: Effect.Effect<void>) =>
            Stream.unwrap(
              Effect.map(findFiles, (files) =>
                engine.turn(sessionId, { prompt: payload.prompt, files, timeout }, cancel)
              )
            )
          const asEvents = CallResponse.acceptsEvents(request)
          if (asEvents) yield* countStream(appId)
          const call = yield* calls.start(
            { appId, path: Turns.pathOf(sessionId), key: headers["idempotency-key"], sessionId, body: json },
            (feed, cancel) => encodeTurn(TurnAnswer.make(sessionId, turn(cancel), feed))
          )
          return yield* asEvents ? CallResponse.renderEvents(call) : CallResponse.renderJson(call)
        })
      )
      .handleAll({
        list: Effect.fnUntraced(function* ({ query }) {
          const { id: appId } = yield* CurrentApp
          const sessions = yield* ledger.listSessions({ appId, includeClosed: query.include_closed })
          return { ok: true as const, sessions, count: sessions.length }
        }),
        state: Effect.fnUntraced(function* () {
          const session = yield* CurrentSession
          return { ok: true as const, ...session, live: session.closedAt === null }
        }),
        events: Effect.fnUntraced(function* ({ query: { after } }) {
          const { sessionId } = yield* CurrentSession
          const events = yield* ledger.listEventsAfter({ sessionId, after, limit: maxEvents })
          return { ok: true as const, events: events.map(toEvent) }
        }),
        close: Effect.fnUntraced(function* () {
          const { sessionId } = yield* CurrentSession
          const closed = yield* engine.close(sessionId)
          return { ok: true as const, ...(closed ? {} : { alreadyClosed: true }) }
        }),
        cancel: Effect.fnUntraced(function* ({ headers }) {
          const { sessionId } = yield* CurrentSession
          const { id: appId } = yield* CurrentApp
          const key = headers["idempotency-key"]
          const cancel =
            key === undefined ? engine.cancel(sessionId) : calls.cancel({ appId, path: Turns.pathOf(sessionId), key })
          return { ok: true as const, cancelled: yield* cancel }
        })
      })
  })
)

export const layer = Layer.mergeAll(system, sessions, RunHandlers.layer, FileHandlers.layer, AdminHandlers.layer)
