/**
 * The `SessionEngine` of one machine: its agents are child processes of this one.
 */
import { Clock, DateTime, Deferred, Effect, Exit, FiberSet, Latch, Layer, Option, Schema, Scope, Stream } from "effect"
import { SecureRandom } from "effect/crypto/SecureRandom"
import * as Base64Url from "effect/encoding/Base64Url"
import { Invalid, NotReady, PoolFull, SessionIsClosed, TooMany } from "../../api/Errors.ts"
import { sentences } from "../../wire/Failures.ts"
import { SessionId } from "../../wire/Ids.ts"
import { McpServers } from "../../wire/McpServers.ts"
import { AgentPool } from "../agents/AgentPool.ts"
import * as AppCounts from "../AppCounts.ts"
import { Agents, unknown } from "../agents/Agents.ts"
import { WorkingDirectories } from "../storage/WorkingDirectories.ts"
import { Ledger, type Session } from "../storage/Ledger.ts"
import { Sealed } from "../storage/Sealed.ts"
import * as LocalSession from "./LocalSession.ts"
import { McpHosts } from "./McpHosts.ts"
import * as SessionFiles from "./SessionFiles.ts"
import { type NewSession, SessionEngine, type SessionTurn } from "./SessionEngine.ts"
import { Uploads } from "../files/Uploads.ts"
import { Workspaces } from "../workspaces/Workspaces.ts"
import { Shutdown } from "../Shutdown.ts"
import * as Spans from "../Spans.ts"

export interface Options {
  /** How many sessions may be open at once; 64 if not given. */
  readonly maxOpenSessions?: number | undefined
  /** How many of them one app may have; all of them if not given. */
  readonly maxAppSessions?: number | undefined
  /** How many turns of one app may run at once; as many as sessions may be open if not given. */
  readonly maxAppTurns?: number | undefined
  /** How many turns of one session may wait for the one that runs; 16 if not given. */
  readonly maxWaitingTurns?: number | undefined
}

/** A session, the scope of its process, and the number of its turns that run or wait. */
interface Entry {
  readonly appId: number
  readonly agent: string
  readonly cwd: string
  readonly session: LocalSession.LocalSession
  readonly scope: Scope.Closeable
  turns: number
  /** Closed while the session is being closed: a turn that comes then waits to see whether it was. */
  readonly open: Latch.Latch
  /** When the last of them ended, since the server started. */
  usedAt?: number | undefined
}

const elsewhere = new NotReady({ detail: sentences.sessionElsewhere })

const defaultMaxOpenSessions = 64
const defaultMaxWaitingTurns = 16
const idBytes = 24

const encodeServers = Schema.encodeEffect(Schema.fromJsonString(McpServers))
const decodeServers = Schema.decodeEffect(Schema.fromJsonString(McpServers))

/** The settings with which a session is opened and restored. */
const settingsOf = ({ effort, model, system }: NewSession) => ({
  model,
  effort: effort ?? null,
  system: system ?? null
})

export const make = Effect.fnUntraced(function* (options: Options) {
  const agents = yield* Agents
  const directories = yield* WorkingDirectories
  const files = yield* SessionFiles.make
  const ledger = yield* Ledger
  const mcpHosts = yield* McpHosts
  const pool = yield* AgentPool
  const random = yield* SecureRandom
  const sealed = yield* Sealed
  const shutdown = yield* Shutdown
  const uploads = yield* Uploads
  const workspaces = yield* Workspaces
  const maxOpenSessions = options.maxOpenSessions ?? defaultMaxOpenSessions
  const maxAppSessions = options.maxAppSessions ?? maxOpenSessions
  const maxAppTurns = options.maxAppTurns ?? maxOpenSessions
  const maxWaitingTurns = options.maxWaitingTurns ?? defaultMaxWaitingTurns

  const sessionsScope = yield* Scope.fork(yield* Effect.scope, "parallel")
  /** The sessions that are open or being opened, which count against the limits, with their apps. */
  const openSlots = new Map<SessionId, number>()
  const openSlotsOf = AppCounts.make()
  /** The number of sessions of an app with a turn that runs or waits. */
  const busyOf = AppCounts.make()
  const entries = new Map<SessionId, Entry>()

  // `close` returns before the process has ended; the engine's scope waits for those that are still ending.
  const endings = yield* FiberSet.make()
  yield* Effect.addFinalizer(() => FiberSet.awaitEmpty(endings))

  /** The sessions whose agents are still ending, or whose folders are still there. */
  const ending = new Map<SessionId, Deferred.Deferred<void>>()

  const takeSlot = (sessionId: SessionId, appId: number) => {
    openSlots.set(sessionId, appId)
    openSlotsOf.add(appId)
  }

  const freeSlot = (sessionId: SessionId) => {
    const appId = openSlots.get(sessionId)
    if (appId === undefined) return
    openSlots.delete(sessionId)
    openSlotsOf.remove(appId)
  }

  const addEntry = Effect.fnUntraced(
    function* (options: LocalSession.Options) {
      const scope = yield* Scope.fork(sessionsScope)
      const session = yield* Scope.provide(LocalSession.make(options), scope)
      const entry: Entry = {
        appId: options.appId,
        agent: options.agent,
        cwd: options.cwd,
        session,
        scope,
        turns: 0,
        open: yield* Latch.make(true)
      }
      entries.set(options.sessionId, entry)
      return entry
    },
    Effect.provideService(AgentPool, pool),
    Effect.provideService(Agents, agents),
    Effect.provideService(WorkingDirectories, directories),
    Effect.provideService(Ledger, ledger),
    Effect.provideService(Shutdown, shutdown),
    Effect.provideService(Uploads, uploads)
  )

  /** Removes a session from memory, so that no turn finds it from here on, and ends its process, then `afterwards`. */
  const forget = Effect.fnUntraced(function* (sessionId: SessionId, afterwards: Effect.Effect<void>) {
    const entry = entries.get(sessionId)
    freeSlot(sessionId)
    entries.delete(sessionId)
    if (entry !== undefined) {
      yield* entry.session.stop
      const ended = yield* Deferred.make<void>()
      ending.set(sessionId, ended)
      yield* FiberSet.run(
        endings,
        Effect.andThen(Scope.close(entry.scope, Exit.void), afterwards).pipe(
          Effect.ensuring(
            Effect.suspend(() => {
              ending.delete(sessionId)
              return Deferred.succeed(ended, undefined)
            })
          )
        )
      )
    }
  })

  /** Removes the folders of a session, whose agent has ended. */
  const removeFolders = (sessionId: SessionId) =>
    workspaces
      .close(sessionId)
      .pipe(Effect.andThen(directories.remove(sessionId)), Effect.andThen(files.forget(sessionId)), Effect.asVoid)

  /** Closes the row first: where it cannot be written nothing was done, and the session stays as it is. */
  const closeRowFirst = Effect.fnUntraced(function* (sessionId: SessionId, kind: "close" | "sweep_close") {
    const { open } = entries.get(sessionId) ?? {}
    open?.closeUnsafe()
    return yield* ledger.closeSession(sessionId, kind).pipe(
      Effect.tap(() => forget(sessionId, removeFolders(sessionId))),
      Effect.ensuring(Effect.sync(() => open?.openUnsafe()))
    )
  }, Effect.uninterruptible)

  const close = Effect.fn("SessionEngine.close")((sessionId: SessionId) => closeRowFirst(sessionId, "close"))

  /**
   * Closes a session after a failure, which is reported to the caller whether or not this succeeds. Its slot is freed even
   * where the row cannot be closed: the row is closed by the next close or sweep, and the folder is removed by the next start
   * after that.
   */
  const abandon = (sessionId: SessionId) =>
    Effect.catch(close(sessionId), ({ cause }) =>
      Effect.andThen(Effect.logError("a session could not be closed", cause), forget(sessionId, Effect.void))
    ).pipe(Effect.uninterruptible)

  const closeIdle = Effect.fn("SessionEngine.closeIdle")(function* (sessionId: SessionId, since: DateTime.Utc) {
    const { turns = 0, usedAt = -Infinity } = entries.get(sessionId) ?? {}
    if (turns > 0 || usedAt > DateTime.toEpochMillis(since)) return false
    return yield* closeRowFirst(sessionId, "sweep_close")
  })

  /** Where a session works. Its files do not go into a folder that is not its own. */
  const foldersOf = (sessionId: SessionId, workspace: Session["workspace"]) => {
    const own = directories.ofSession(sessionId)
    if (workspace?.mode !== "shared") return { cwd: own, filesFolder: own }
    const cwd = workspaces.folderOf(workspace)
    const withdrawn = `The workspace ${workspace.name} is not in the server's table of workspaces.`
    return cwd === undefined ? { cwd: own, filesFolder: own, withdrawn } : { cwd, filesFolder: own }
  }

  const sealServers = (sessionId: SessionId, servers: McpServers = []) =>
    servers.length === 0
      ? Effect.succeed(null)
      : Effect.flatMap(Effect.orDie(encodeServers(servers)), (text) => sealed.seal(text, sessionId))

  /** The MCP servers of a session in the ledger, or why its agent must not be started. */
  const openServers = Effect.fnUntraced(function* ({ mcpServers, sessionId }: Session) {
    if (mcpServers === null) return {}
    const text = yield* sealed.open(mcpServers, sessionId)
    if (Option.isSome(text)) return { mcpServers: yield* Effect.orDie(decodeServers(text.value)) }
    return {
      withdrawn: "The MCP servers of the session cannot be read: the key of the server's data folder is another."
    }
  })

  const prepare = Effect.fnUntraced(function* (session: NewSession) {
    if (!agents.has(session.agent)) return yield* unknown(agents)
    yield* mcpHosts.check(session.mcpServers ?? [])
    const workspace = session.workspace === undefined ? null : yield* workspaces.check(session.workspace)
    const sessionId = SessionId.make(Base64Url.encode(yield* random.randomBytes(idBytes)))
    if (openSlots.size >= maxOpenSessions) return yield* new PoolFull()
    if (openSlotsOf.of(session.app.id) >= maxAppSessions) return yield* new TooMany()
    takeSlot(sessionId, session.app.id)
    const identity = { sessionId, appId: session.app.id, workspace, ...foldersOf(sessionId, workspace) }
    const entry = yield* addEntry({
      ...identity,
      agent: session.agent,
      ...settingsOf(session),
      mcpServers: session.mcpServers
    })
    return { ...identity, ...entry }
  })

  const open = (options: NewSession) =>
    Effect.acquireUseRelease(
      prepare(options),
      Effect.fnUntraced(function* ({ appId, cwd, session, sessionId, workspace }) {
        const filled = options.workspace === undefined ? Effect.void : workspaces.prepare(sessionId, options.workspace)
        const agentSessionId = yield* Effect.andThen(filled, session.wake).pipe(
          Effect.catchTag("AgentOptionRefused", ({ error, option }) => Effect.fail(Invalid.body(option, error))),
          Effect.raceFirst(shutdown.refusal)
        )
        const opened: Session = {
          sessionId,
          mcpServers: yield* sealServers(sessionId, options.mcpServers),
          appId,
          appName: options.app.name,
          agent: options.agent,
          agentSessionId,
          ...settingsOf(options),
          meta: options.meta,
          cwd,
          workspace,
          createdAt: yield* DateTime.now,
          lastTurnAt: null,
          turnCount: 0,
          closedAt: null,
          usage: null
        }
        yield* ledger.addSession(opened)
        return opened
      }),
      ({ sessionId }, exit) => {
        if (Exit.isSuccess(exit)) return Effect.void
        // Only where it was interrupted can there be a row.
        return Exit.hasInterrupts(exit) ? abandon(sessionId) : forget(sessionId, removeFolders(sessionId))
      }
    ).pipe(Spans.open)

  /** The entry of a session that is open here. */
  const find = Effect.fnUntraced(function* (sessionId: SessionId) {
    yield* entries.get(sessionId)?.open.await ?? Effect.void
    const entry = entries.get(sessionId)
    // Clients take SessionIsClosed as final.
    return entry ?? (yield* (yield* ledger.isOpenElsewhere(sessionId)) ? elsewhere : new SessionIsClosed())
  })

  /** Counts a turn of a session until the scope closes, within the limits of the session and of its app. */
  const admit = Effect.fnUntraced(function* (sessionId: SessionId) {
    const entry = yield* find(sessionId)
    if (entry.turns > maxWaitingTurns) return yield* new TooMany()
    // Only one turn of a session runs at a time, so the session counts once.
    if (entry.turns === 0 && busyOf.of(entry.appId) >= maxAppTurns) return yield* new TooMany()
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        if (entry.turns++ === 0) busyOf.add(entry.appId)
      }),
      () =>
        Effect.map(Clock.currentTimeMillis, (now) => {
          entry.usedAt = now
          if (--entry.turns === 0) busyOf.remove(entry.appId)
        })
    )
    return entry.session
  })

  const turn = (sessionId: SessionId, turn: SessionTurn) =>
    Stream.unwrap(Effect.map(admit(sessionId), (session) => session.turn(turn))).pipe(
      Spans.turn(sessionId, entries.get(sessionId)?.agent),
      Stream.catchTag("AgentLost", ({ failure }) =>
        Stream.fromEffect(Effect.andThen(abandon(sessionId), Effect.fail(failure)))
      )
    )

  const cancel = Effect.fn("SessionEngine.cancel")(function* (sessionId: SessionId, turnId?: string) {
    const entry = entries.get(sessionId)
    return entry === undefined ? false : yield* entry.session.cancel(turnId)
  })

  const diff = Effect.fn("SessionEngine.diff")(function* (sessionId: SessionId) {
    if (entries.has(sessionId)) return yield* workspaces.diff(sessionId)
    const ended = ending.get(sessionId)
    if (ended !== undefined) yield* Deferred.await(ended)
    return yield* workspaces.keptDiff(sessionId)
  })

  /** Where a session works. A shared folder may be a link of the operator's, which `.` in it follows. */
  const placeOf = Effect.fnUntraced(function* (sessionId: SessionId) {
    const { appId, cwd } = yield* find(sessionId)
    return { appId, sessionId, folder: cwd === directories.ofSession(sessionId) ? cwd : `${cwd}/.` }
  })

  const states = Effect.gen(function* () {
    const counts = { open: 0, running: 0, waiting: 0, asleep: 0 }
    for (const { session } of entries.values()) counts[yield* session.state]++
    return counts
  })

  /**
   * Restores the sessions that were open when the server ended; each starts its agent on its next turn. One whose agent
   * is not in the table is kept, since the table may be wrong.
   */
  const recover = Effect.gen(function* () {
    yield* ledger.endCutTurns
    for (const session of yield* ledger.openSessions) {
      takeSlot(session.sessionId, session.appId)
      // Not where it was, if the data folder was moved, or the operator has moved its workspace.
      const folders = foldersOf(session.sessionId, session.workspace)
      if (folders.cwd !== session.cwd) yield* ledger.moveSession(session.sessionId, folders.cwd)
      const { mcpServers: _sealed, ...kept } = session
      yield* addEntry({ ...kept, ...folders, ...(yield* openServers(session)) })
    }
    const open = new Set<string>(yield* ledger.openSessionIds)
    // First, since it reads the folders.
    yield* workspaces.keepOnly(open)
    yield* directories.keepOnly(open)
  })

  yield* recover
  return SessionEngine.of({
    open,
    turn,
    cancel,
    close,
    closeIdle,
    diff,
    listFiles: (sessionId, options) => Effect.flatMap(placeOf(sessionId), (place) => files.list(place, options)),
    openFile: (sessionId, path) => Effect.flatMap(placeOf(sessionId), (place) => files.open(place, path)),
    writeFile: (sessionId, file) => Effect.flatMap(placeOf(sessionId), (place) => files.write(place, file)),
    states,
    size: Effect.sync(() => openSlots.size)
  })
})

export const layer = (options: Options) => Layer.effect(SessionEngine, make(options))
