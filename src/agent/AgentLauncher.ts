/**
 * Opens a session with an agent: starts its process, speaks the protocol's first words with it, and has it open a new
 * session or bring back an old one.
 */
import { Duration, Effect, Exit, Schema, Scope } from "effect"
import type { ChildProcessSpawner } from "effect/process"
import { type AgentDefinition, AgentFailed, AgentOptionRefused, type AgentSession, type SystemPrompt } from "./Agent.ts"
import { type AgentChild, spawn } from "./process/AgentProcess.ts"
import * as AgentConnection from "./acp/AgentConnection.ts"
import * as AgentInbox from "./acp/AgentInbox.ts"
import * as AgentTurns from "./acp/AgentTurns.ts"
import { clientInfo } from "./acp/ClientInfo.ts"
import type { OutputBudget } from "./acp/OutputBudget.ts"
import type { Watchdog } from "./process/Watchdog.ts"

export interface Options {
  /** The folder that the agent works in, absolute. */
  readonly cwd: string
  /** The agent's own id of a session that it shall bring back, instead of opening a new one. */
  readonly load?: string | undefined
  /** One of the agent's models. */
  readonly model?: string | undefined
  /** One of the agent's levels of thinking. */
  readonly effort?: string | undefined
  readonly system?: SystemPrompt | undefined
  /** Bounds what the agent writes in a turn, together with what other agents write. */
  readonly budget: OutputBudget
  /** How long the agent may take for each step up to the open session. */
  readonly stepTimeout?: Duration.Input | undefined
}

const protocolVersion = 1

/** As much of another version as is told: an agent may send any text as its version. */
const maxVersion = 100

/** How long an agent may take to obey a cancel before its process is ended. */
const cancelGrace = "2 seconds"

const Initialized = Schema.Struct({
  protocolVersion: Schema.Unknown,
  agentCapabilities: Schema.optionalKey(
    Schema.Struct({
      loadSession: Schema.optionalKey(Schema.Unknown),
      sessionCapabilities: Schema.optionalKey(
        Schema.NullOr(Schema.Struct({ resume: Schema.optionalKey(Schema.Unknown) }))
      )
    })
  )
})

const isConfigOption = Schema.is(
  Schema.Struct({ id: Schema.String, category: Schema.optionalKey(Schema.NullOr(Schema.String)) })
)

const Opened = Schema.Struct({ configOptions: Schema.optionalKey(Schema.NullOr(Schema.Array(Schema.Unknown))) })
/** The id is kept with the session, and named in sentences. */
const AgentSessionId = Schema.NonEmptyString.check(Schema.isMaxLength(1_024))
const Created = Schema.Struct({ ...Opened.fields, sessionId: AgentSessionId })

/** What opening a session is done with. */
interface Opening {
  readonly definition: AgentDefinition
  readonly options: Options
  readonly child: AgentChild
  readonly connection: AgentConnection.AgentConnection
  readonly step: Duration.Duration
}

/** A step that the agent refused is a failure to open the session. */
const required =
  ({ child, definition }: Opening, doing: string) =>
  <A>(step: Effect.Effect<A, AgentFailed | AgentConnection.RequestRefused>): Effect.Effect<A, AgentFailed> =>
    Effect.catchTag(step, "RequestRefused", ({ reason }) =>
      child.fail(`Agent ${definition.name} could not ${doing}: ${reason}`)
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
    // As JSON, since the text "1" is another version than the number.
    const spoken = JSON.stringify(initialized.protocolVersion).slice(0, maxVersion)
    return yield* child.fail(
      `Agent ${definition.name} speaks version ${spoken} of the protocol, not ${protocolVersion}.`
    )
  }
  return initialized.agentCapabilities ?? {}
})

const create = Effect.fnUntraced(function* (opening: Opening) {
  const { configOptions, sessionId } = yield* opening.connection
    .request({ method: "session/new", params: sessionParams(opening), answer: Created, within: opening.step })
    .pipe(required(opening, "open a session"))
  return { sessionId, configOptions: configOptions ?? [] }
})

type Capabilities = NonNullable<typeof Initialized.Type.agentCapabilities>

/** How the agent brings a session back. Resuming comes first: it does not tell the whole history again. */
const wayBack = ({ loadSession, sessionCapabilities }: Capabilities) => {
  if (sessionCapabilities?.resume) return "session/resume"
  return loadSession === true ? "session/load" : undefined
}

const bringBack = Effect.fnUntraced(function* (opening: Opening, sessionId: string, capabilities: Capabilities) {
  const { child, connection, definition, step } = opening
  const method = wayBack(capabilities)
  const lost = ({ error, stderr, stopReason }: AgentFailed) =>
    new AgentFailed({ error, stderr, stopReason, isSessionLost: true })
  if (method === undefined) {
    return yield* lost(yield* child.failure(`Agent ${definition.name} cannot bring a session back.`))
  }
  const opened = yield* connection
    .request({
      method,
      params: { ...sessionParams(opening), sessionId },
      answer: Schema.NullOr(Opened),
      within: step
    })
    .pipe(
      Effect.catchTag(
        "RequestRefused",
        Effect.fnUntraced(function* ({ code, reason }) {
          const error = `Agent ${definition.name} could not bring back the session ${sessionId}: ${reason}`
          const failure = yield* child.failure(error)
          // Whoever has to log in first is told so, and finds the session again afterwards.
          return yield* code === AgentConnection.authRequired ? failure : lost(failure)
        })
      )
    )
  return { sessionId, configOptions: opened?.configOptions ?? [] }
})

const systemMeta = ({ mode, text }: SystemPrompt) => ({ systemPrompt: mode === "append" ? { append: text } : text })

const sessionParams = ({ definition: { sessionMeta }, options: { cwd, system } }: Opening) => ({
  cwd,
  mcpServers: [],
  ...(sessionMeta === undefined && system === undefined
    ? {}
    : { _meta: { ...sessionMeta, ...(system === undefined ? {} : systemMeta(system)) } })
})

/** Where a session's options are found among the agent's own: by category, else by id. */
const settings = [
  { option: "model", category: "model" },
  { option: "effort", category: "thought_level" }
] as const

/** Sets one option, and gives the options as they are then: those of one model need not be those of another. */
const setOption = Effect.fnUntraced(function* (
  opening: Opening,
  setting: (typeof settings)[number] & {
    readonly sessionId: string
    readonly configOptions: ReadonlyArray<unknown>
    readonly value: string
  }
) {
  const { connection, definition, step } = opening
  const { category, option, sessionId, value } = setting
  const known = setting.configOptions.filter(isConfigOption)
  const config = known.find((config) => config.category === category) ?? known.find(({ id }) => id === option)
  if (config === undefined) {
    return yield* new AgentOptionRefused({ option, error: `Agent ${definition.name} has no option for the ${option}.` })
  }
  const answer = yield* connection
    .request({
      method: "session/set_config_option",
      params: { sessionId, configId: config.id, value },
      answer: Schema.NullOr(Opened),
      within: step
    })
    .pipe(
      Effect.catchTag("RequestRefused", ({ reason }) =>
        Effect.fail(
          new AgentOptionRefused({
            option,
            error: `Agent ${definition.name} refused the ${option} ${value}: ${reason}`
          })
        )
      )
    )
  return answer?.configOptions ?? setting.configOptions
})

/** An agent that does not enter its mode might act without asking, so its session is not opened. */
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
  const inbox = AgentInbox.make(definition.permissions)
  const connection = yield* AgentConnection.make({ name, child, inbox, budget: options.budget })
  const step = Duration.fromInputUnsafe(options.stepTimeout ?? "30 seconds")
  const opening: Opening = { definition, options, child, connection, step }

  const capabilities = yield* initialize(opening)
  const { configOptions: offered, sessionId } =
    options.load === undefined ? yield* create(opening) : yield* bringBack(opening, options.load, capabilities)
  yield* inbox.opened({ id: sessionId, loaded: options.load !== undefined })
  if (definition.mode !== undefined) yield* enterMode(opening, sessionId, definition.mode)
  let configOptions = offered
  for (const setting of settings) {
    const value = options[setting.option]
    if (value !== undefined) configOptions = yield* setOption(opening, { sessionId, configOptions, value, ...setting })
  }

  const turns = AgentTurns.make({ name, sessionId, child, connection, inbox, cancelGrace })
  const returns = wayBack(capabilities) !== undefined
  const session: AgentSession = { id: sessionId, pid: child.pid, returns, exited: connection.gone, ...turns }
  return session
})

/**
 * Opens a session with an agent. The process ends with the scope, and at once if the session cannot be opened.
 */
export const open: (
  definition: AgentDefinition,
  options: Options
) => Effect.Effect<
  AgentSession,
  AgentFailed | AgentOptionRefused,
  Scope.Scope | ChildProcessSpawner.ChildProcessSpawner | Watchdog
> = Effect.fn("AgentLauncher.open")(function* (definition: AgentDefinition, options: Options) {
  const scope = yield* Scope.fork(yield* Effect.scope)
  return yield* connect(definition, options).pipe(
    Scope.provide(scope),
    Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
  )
})
