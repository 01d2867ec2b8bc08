/**
 * The handlers of the endpoints of sessions.
 */
import { Effect, Option } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Api, CreateRequest } from "../../api/Api.ts"
import { FileNotFound } from "../../api/Errors.ts"
import { CurrentApp, CurrentSession } from "../../api/Middlewares.ts"
import * as Paths from "../../wire/Paths.ts"
import * as Sessions from "../../wire/Sessions.ts"
import { AppTokens } from "../access/AppTokens.ts"
import * as CallAnswer from "../calls/CallAnswer.ts"
import { Agents } from "../agents/Agents.ts"
import { Calls } from "../calls/Calls.ts"
import { SessionEngine } from "../sessions/SessionEngine.ts"
import { Ledger, type SessionEvent, toState } from "../storage/Ledger.ts"
import * as SystemPrompts from "../SystemPrompts.ts"
import * as CallResponse from "./CallResponse.ts"
import * as FileContent from "./FileContent.ts"
import * as JsonBody from "./JsonBody.ts"
import * as SessionList from "./SessionList.ts"
import * as TurnHandlers from "./TurnHandlers.ts"

/** How many events of a session one answer contains at most. */
const maxEvents = 1_000

const toEvent = ({ at, detail, kind, seq, turnIndex }: SessionEvent): Sessions.Event => ({
  seq,
  at,
  kind,
  ...(turnIndex === null ? {} : { turnIndex }),
  ...(detail === null ? {} : { detail })
})

const readCreate = JsonBody.reader(CreateRequest)
const encodeCreated = CallAnswer.from(Sessions.Created, ({ id }) => id)

export const layer = HttpApiBuilder.group(
  Api,
  "sessions",
  Effect.fnUntraced(function* (handlers) {
    const calls = yield* Calls
    const engine = yield* SessionEngine
    const ledger = yield* Ledger
    const tokens = yield* AppTokens
    const { cancel, turn } = yield* TurnHandlers.make
    const list = yield* SessionList.make
    const agents = yield* Agents
    // Where there is no agent, the refusal is that of an unknown one.
    const byDefault = Option.getOrElse(agents.defaultName, () => "claude")

    const open = Effect.fnUntraced(function* (app: CurrentApp["Service"], request: typeof CreateRequest.Type) {
      const session = yield* engine
        .open({
          app,
          agent: request.agent ?? byDefault,
          model: request.model ?? null,
          effort: request.effort ?? undefined,
          system: SystemPrompts.from(request),
          meta: request.meta ?? null,
          workspace: request.workspace ?? undefined,
          mcpServers: request.mcpServers ?? undefined
        })
        .pipe(tokens.whileLive(app.id))
      return { ok: true as const, ...toState(session) }
    })

    return handlers
      .handleRaw(
        "create",
        Effect.fnUntraced(function* ({ headers, request }) {
          const app = yield* CurrentApp
          const { json, payload } = yield* readCreate(request)
          const call = yield* calls.start(
            { appId: app.id, path: Paths.sessions, key: headers["idempotency-key"], body: json },
            () => encodeCreated(open(app, payload))
          )
          return yield* CallResponse.renderJson(call)
        })
      )
      .handleRaw("turn", turn)
      .handleRaw(
        "readFile",
        Effect.fnUntraced(function* ({ query: { path }, request: { headers } }) {
          const { id } = yield* CurrentSession
          return yield* FileContent.render(headers, yield* engine.openFile(id, path))
        })
      )
      .handleRaw(
        "writeFile",
        Effect.fnUntraced(function* ({ query: { path }, request }) {
          const app = yield* CurrentApp
          const { id } = yield* CurrentSession
          const condition = yield* FileContent.conditionOf(request.headers)
          const content = FileContent.received(request)
          return FileContent.written(
            yield* engine.writeFile(id, { path, condition, content }).pipe(tokens.whileLive(app.id))
          )
        })
      )
      .handleAll({
        cancel,
        list,
        state: Effect.fnUntraced(function* () {
          const session = yield* CurrentSession
          return { ok: true as const, ...session, live: session.closedAt === null }
        }),
        events: Effect.fnUntraced(function* ({ query: { after } }) {
          const { id: sessionId } = yield* CurrentSession
          const events = yield* ledger.listEventsAfter({ sessionId, after, limit: maxEvents })
          return { ok: true as const, events: events.map(toEvent) }
        }),
        files: Effect.fnUntraced(function* ({ query }) {
          const { id } = yield* CurrentSession
          return { ok: true as const, ...(yield* engine.listFiles(id, query)) }
        }),
        diff: Effect.fnUntraced(function* () {
          const { id: sessionId } = yield* CurrentSession
          const diff = yield* engine.diff(sessionId)
          return Option.isSome(diff) ? { ok: true as const, diff: diff.value } : yield* new FileNotFound()
        }),
        close: Effect.fnUntraced(function* () {
          const { id: sessionId } = yield* CurrentSession
          const closed = yield* engine.close(sessionId)
          return { ok: true as const, ...(closed ? {} : { alreadyClosed: true }) }
        })
      })
  })
)
