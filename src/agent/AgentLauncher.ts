/**
 * Opens a session with an agent: starts its process, initializes the protocol, and creates or restores the session.
 */
import { Duration, Effect, Exit, type FileSystem, Predicate, Redacted, Schema, Scope } from "effect"
import type { ChildProcessSpawner } from "effect/process"
import {
  type AgentDefinition,
  AgentFailed,
  AgentOptionRefused,
  type AgentSession,
  type SystemPrompt,
  type McpServer
} from "./Agent.ts"
import { type AgentChild, spawn } from "./process/AgentProcess.ts"
import * as AgentConnection from "./acp/AgentConnection.ts"
import * as Authentication from "./acp/Authentication.ts"
import * as AgentInbox from "./acp/AgentInbox.ts"
import * as AgentOffer from "./acp/AgentOffer.ts"
import * as AgentTurns from "./acp/AgentTurns.ts"
import * as LateEvents from "./acp/LateEvents.ts"
import * as PromptBlocks from "./acp/PromptBlocks.ts"
import * as QuietTime from "./acp/QuietTime.ts"
import { clientInfo } from "./acp/ClientInfo.ts"
import * as SessionSettings from "./acp/SessionSettings.ts"
import type { OutputBudget } from "./acp/OutputBudget.ts"
import * as SessionUsage from "./acp/SessionUsage.ts"
import type { Watchdog } from "./process/Watchdog.ts"

export interface Options {
  /** The agent's working directory, absolute. */
  readonly cwd: string
  /** The agent's own id of a session to restore, instead of creating one. */
  readonly load?: string | undefined
  /** One of the agent's models. */
  readonly model?: string | undefined
  /** One of the agent's levels of thinking. */
  readonly effort?: string | undefined
  readonly system?: SystemPrompt | undefined
  /** Given to it whenever the session is created or restored. */
  readonly mcpServers?: ReadonlyArray<McpServer> | undefined
  /** Bounds the output of a turn, together with the output of all other agents. */
  readonly budget: OutputBudget
  /** What was learned of the agent's other processes. */
  readonly quietTime?: QuietTime.QuietTime | undefined
  /** Those of the session, of its earlier processes too; without, they end with this process. */
  readonly lateEvents?: LateEvents.LateEvents | undefined
  /** The time limit for each request until the session is open; 30 seconds by default. */
  readonly stepTimeout?: Duration.Input | undefined
}

const protocolVersion = 1

/** An unsupported version is quoted up to this length: an agent may send any text. */
const maxVersionLength = 100

/** How long an agent may take to stop after a cancel before its process is killed. */
const cancelGrace = "2 seconds"

const Initialized = Schema.Struct({
  protocolVersion: Schema.Unknown,
  authMethods: Schema.optionalKey(Schema.Unknown),
  agentInfo: Schema.optionalKey(Schema.Unknown),
  agentCapabilities: Schema.optionalKey(AgentOffer.Capabilities)
})

/** Bounded, since the id is stored with the session and quoted in errors. */
const AgentSessionId = Schema.NonEmptyString.check(Schema.isMaxLength(1_024))
const Created = Schema.Struct({ ...SessionSettings.Offered.fields, sessionId: AgentSessionId })

/** The state shared by the steps of opening a session. */
interface Opening {
  readonly definition: AgentDefinition
  readonly options: Options
  readonly child: AgentChild
  readonly connection: AgentConnection.AgentConnection
  readonly step: Duration.Duration
}

/** Turns a refused request into a failure to open the session. */
const required =
  ({ child, definition }: Opening, action: string) =>
  <A>(step: Effect.Effect<A, AgentFailed | AgentConnection.RequestRefused>): Effect.Effect<A, AgentFailed> =>
    Effect.catchTag(step, "RequestRefused", ({ kind, reason }) =>
      child.fail(`Agent ${definition.name} could not ${action}: ${reason}`, "error", kind)
    )

const initialize = Effect.fnUntraced(function* (opening: Opening) {
  const { child, connection, definition, step } = opening
  const initialized = yield* connection
    .request({
      method: "initialize",
      params: {
        protocolVersion,
        clientInfo,
        clientCapabilities: { fs: { readTextFile: false, writeTextFile: false }, terminal: false }
      },
      answer: Initialized,
      within: step
    })
    .pipe(required(opening, "start"))
  if (initialized.protocolVersion !== protocolVersion) {
    // As JSON, to tell the string "1" from the number.
    const actual = JSON.stringify(initialized.protocolVersion).slice(0, maxVersionLength).toWellFormed()
    const error = `Agent ${definition.name} speaks protocol version ${actual}, not ${protocolVersion}.`
    return yield* child.fail(error, "error", "unsupported_version")
  }
  const { agentCapabilities, agentInfo, authMethods } = initialized
  const countsSession = Predicate.hasProperty(agentInfo, "name") && SessionUsage.countsSession(agentInfo.name)
  return { capabilities: agentCapabilities ?? {}, authMethods, countsSession }
})

const create = Effect.fnUntraced(function* (opening: Opening) {
  const { sessionId, ...offered } = yield* opening.connection
    .request({ method: "session/new", params: sessionParams(opening), answer: Created, within: opening.step })
    .pipe(required(opening, "open a session"))
  return { sessionId, offered }
})

/** The method that restores a session. Resuming is preferred, since loading replays the whole history. */
const restoreMethod = ({ loadSession, sessionCapabilities }: AgentOffer.Capabilities) => {
  if (sessionCapabilities?.resume) return "session/resume"
  return loadSession === true ? "session/load" : undefined
}

const restore = Effect.fnUntraced(function* (
  opening: Opening,
  sessionId: string,
  capabilities: AgentOffer.Capabilities
) {
  const { child, connection, definition, step } = opening
  const method = restoreMethod(capabilities)
  const mark =
    (restore: AgentFailed["restore"]) =>
    ({ error, kind, stderr, stopReason }: AgentFailed) =>
      new AgentFailed({ error, kind, stderr, stopReason, restore })
  if (method === undefined) {
    const error = `Agent ${definition.name} cannot restore a session.`
    const failure = yield* child.failure(error, "error", "not_restorable")
    return yield* mark("lost")(failure)
  }
  const opened = yield* connection
    .request({
      method,
      params: { ...sessionParams(opening), sessionId },
      answer: Schema.NullOr(SessionSettings.Offered),
      within: step
    })
    .pipe(
      Effect.mapError((failure) => (failure._tag === "AgentFailed" ? mark("failed")(failure) : failure)),
      Effect.catchTag(
        "RequestRefused",
        Effect.fnUntraced(function* ({ code, kind, reason }) {
          const error = `Agent ${definition.name} could not restore session ${sessionId}: ${reason}`
          const failure = yield* child.failure(error, "error", kind)
          // An agent that needs a login can restore the session afterwards.
          if (code === AgentConnection.authRequired) return yield* failure
          return yield* mark(code === AgentConnection.notFound ? "lost" : "failed")(failure)
        })
      )
    )
  return { sessionId, offered: opened ?? {} }
})

const systemMeta = ({ mode, text }: SystemPrompt) => ({ systemPrompt: mode === "append" ? { append: text } : text })

const serverParams = ({ headers = {}, name, url }: McpServer) => ({
  type: "http",
  name,
  url,
  headers: Object.entries(headers).map(([name, value]) => ({ name, value: Redacted.value(value) }))
})

const sessionParams = ({ definition: { sessionMeta }, options: { cwd, mcpServers = [], system } }: Opening) => ({
  cwd,
  mcpServers: mcpServers.map(serverParams),
  ...(sessionMeta === undefined && system === undefined
    ? {}
    : { _meta: { ...sessionMeta, ...(system === undefined ? {} : systemMeta(system)) } })
})

/** Opening fails if the agent does not enter the mode, since it might then act without asking. */
const enterMode = Effect.fnUntraced(function* (opening: Opening, sessionId: string, modeId: string) {
  yield* opening.connection
    .request({
      method: "session/set_mode",
      params: { sessionId, modeId },
      answer: Schema.Unknown,
      within: opening.step
    })
    .pipe(required(opening, `enter the mode ${modeId}`))
})

const connect = Effect.fnUntraced(function* (definition: AgentDefinition, options: Options) {
  const { name } = definition
  if (options.system !== undefined && definition.takesSystemPrompt !== true) {
    return yield* new AgentOptionRefused({ option: "system", error: `Agent ${name} takes no system prompt.` })
  }
  const child = yield* spawn(definition, { cwd: options.cwd })
  const quietTime = options.quietTime ?? QuietTime.make()
  const lateEvents = options.lateEvents ?? (yield* LateEvents.scoped(name))
  const inbox = AgentInbox.make({ permissions: definition.permissions, quietTime, lateEvents })
  const connected = yield* AgentConnection.make({ name, child, inbox, budget: options.budget })
  const step = Duration.fromInputUnsafe(options.stepTimeout ?? "30 seconds")

  const initialized = yield* initialize({ definition, options, child, connection: connected, step })
  const { authMethods, capabilities, countsSession } = initialized
  if ((options.mcpServers ?? []).length > 0 && !AgentOffer.takesMcpServers(capabilities)) {
    return yield* new AgentOptionRefused({
      option: "mcp_servers",
      error: `Agent ${name} takes no MCP servers over HTTP.`
    })
  }
  const connection = Authentication.withAuthentication({ definition, connection: connected, authMethods, within: step })
  const opening: Opening = { definition, options, child, connection, step }
  const { offered, sessionId } =
    options.load === undefined ? yield* create(opening) : yield* restore(opening, options.load, capabilities)
  yield* inbox.opened({ id: sessionId, loaded: options.load !== undefined, countsSession })
  if (definition.mode !== undefined) yield* enterMode(opening, sessionId, definition.mode)
  yield* SessionSettings.apply({
    name,
    connection,
    sessionId,
    offered,
    isRestored: options.load !== undefined,
    model: options.model,
    effort: options.effort,
    within: step
  })

  if (options.load !== undefined && restoreMethod(capabilities) === "session/load") {
    yield* Effect.timeoutOption(inbox.historyEnd, step)
  }
  const offer = AgentOffer.make(capabilities, offered)
  const blocksOf = yield* PromptBlocks.make({ takesImages: offer.features["images"] === true })
  const turns = AgentTurns.make({ name, sessionId, child, connection, inbox, quietTime, blocksOf, cancelGrace })
  const isRestorable = restoreMethod(capabilities) !== undefined
  const session: AgentSession = {
    id: sessionId,
    pid: child.pid,
    isRestorable,
    offer,
    ended: connection.ended,
    ...turns
  }
  return session
})

/** Opens a session with an agent. The process is killed when the scope closes, or at once if opening fails. */
export const open: (
  definition: AgentDefinition,
  options: Options
) => Effect.Effect<
  AgentSession,
  AgentFailed | AgentOptionRefused,
  Scope.Scope | ChildProcessSpawner.ChildProcessSpawner | FileSystem.FileSystem | Watchdog
> = Effect.fnUntraced(function* (definition: AgentDefinition, options: Options) {
  const scope = yield* Scope.fork(yield* Effect.scope)
  return yield* connect(definition, options).pipe(
    Scope.provide(scope),
    Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
  )
})
