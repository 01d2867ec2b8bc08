/**
 * The calls of one clawdforge server, without state: they are encoded, sent, decoded, their failures mapped, and retried.
 * It also owns the work that outlives its caller. The state of a session is its handle's (`SessionHandle`).
 */
import { Deferred, Duration, Effect, Fiber, Scope, Stream } from "effect"
import type { HttpBody, HttpClient } from "effect/http"
import type { Agent } from "../Agents.ts"
import type {
  AgentsError,
  CancelError,
  CloseError,
  CreateError,
  DiffError,
  HealthError,
  ListError,
  RunError,
  StateError,
  TurnError,
  UploadError
} from "../ForgeError.ts"
import type { Health as HealthInfo } from "../Health.ts"
import * as Run from "../Run.ts"
import type { SessionFiles } from "../SessionFiles.ts"
import type { LiveState, SessionId, SessionInfo } from "../SessionInfo.ts"
import type { Turn } from "../Turn.ts"
import type * as Upload from "../Upload.ts"
import * as Paths from "../wire/Paths.ts"
import * as Background from "./Background.ts"
import * as Agents from "./calls/Agents.ts"
import * as Files from "./calls/Files.ts"
import * as Health from "./calls/Health.ts"
import * as Runs from "./calls/Runs.ts"
import * as Sessions from "./calls/Sessions.ts"
import * as Turns from "./calls/Turns.ts"
import * as CloseGroup from "./CloseGroup.ts"
import type * as EventStreamReader from "./exchange/EventStreamReader.ts"
import * as Exchange from "./exchange/Exchange.ts"
import * as FilesOfSession from "./FilesOfSession.ts"
import * as PartStream from "./PartStream.ts"
import * as Multipart from "./calls/Multipart.ts"
import * as CloseFailure from "./telemetry/CloseFailure.ts"
import * as Invocation from "./telemetry/Invocation.ts"

/** A session that is being created in the background. */
export interface PendingSession {
  /** Waits for the session. An interrupt ends the waiting, not the creation. */
  readonly join: Effect.Effect<SessionInfo, CreateError>
  /** Gives the session up: the call is not retried, and a session that the server creates all the same is closed. */
  readonly abandon: Effect.Effect<void>
}

export interface Protocol {
  /** Of the server, for errors. */
  readonly origin: string
  readonly health: Effect.Effect<HealthInfo, HealthError>
  readonly agents: Effect.Effect<ReadonlyArray<Agent>, AgentsError>
  readonly createSession: (prepared: Sessions.PreparedCreate) => Effect.Effect<PendingSession>
  /** A page of sessions, by its query. */
  readonly listSessions: (query: string) => Effect.Effect<Sessions.SessionPage, ListError>
  readonly getSession: (id: SessionId) => Effect.Effect<LiveState, StateError>
  readonly getDiff: (id: SessionId) => Effect.Effect<string, DiffError>
  readonly files: (id: SessionId) => SessionFiles
  /**
   * Sends a turn at once: the handle orders the turns of a session. `onAbandoned` runs with the turn's key when the call is
   * interrupted while the agent may be working on it.
   */
  readonly turn: (
    id: SessionId,
    prepared: Turns.PreparedTurn,
    onAbandoned: (key: string) => Effect.Effect<void>
  ) => Effect.Effect<Turn, TurnError>
  /** The same for a turn whose events are read as they happen. It is sent at the first pull, and ends with the scope. */
  readonly streamTurn: (
    id: SessionId,
    prepared: Turns.PreparedTurn,
    onAbandoned: (key: string) => Effect.Effect<void>
  ) => Effect.Effect<EventStreamReader.Items<Turn, TurnError>, never, Scope.Scope>
  /** Cancels the turn in flight, or only that of the key, also where it still waits on the server. */
  readonly cancelTurn: (id: SessionId, key?: string) => Effect.Effect<boolean, CancelError>
  readonly closeSession: (id: SessionId) => Effect.Effect<void, CloseError>
  readonly run: (prompt: string, options?: Run.RunOptions) => Effect.Effect<Run.Run, RunError>
  readonly streamRun: (prompt: string, options?: Run.RunStreamOptions) => Stream.Stream<Run.Part, RunError>
  readonly upload: <E, R>(
    source: Upload.Source<E, R>,
    options?: Upload.UploadOptions
  ) => Effect.Effect<Upload.UploadedFile, E | UploadError, R>
  /** The client's own scope: sessions that are still held when it ends are closed first. */
  readonly scope: Scope.Scope
  readonly background: Background.Background
  /** The sessions that a scope closes together. */
  readonly closeGroup: (scope: Scope.Scope) => CloseGroup.CloseGroup
}

/** How long the client's scope waits for background work when it ends. */
const shutdownBound = Duration.seconds(5)

export const make = Effect.fnUntraced(function* (
  options: Exchange.Options
): Effect.fn.Return<Protocol, never, HttpClient.HttpClient | Scope.Scope> {
  const exchange = yield* Exchange.make(options)
  const { send, stream } = exchange
  const background = yield* Background.make(shutdownBound)
  // Closing one session does not wait for another.
  const scope = yield* Scope.fork(yield* Effect.scope, "parallel")
  const boundary = Multipart.boundary()

  const closeSession = (id: SessionId) => send(Sessions.close, { path: Paths.session.of(id) })

  /** Closes a session whose creator is gone. */
  const closeOrphan = (id: SessionId) =>
    CloseFailure.report(id, Sessions.acceptClosed(closeSession(id), { owned: true }))

  /** Refuses options that the server does not support; given up, it asks no further. */
  const checkOptions = Effect.fnUntraced(function* (
    needs: Sessions.PreparedCreate["needs"],
    abandoned: Deferred.Deferred<void>
  ) {
    if (needs.length === 0) return
    const givenUp = Effect.andThen(Deferred.await(abandoned), Effect.interrupt)
    const { features } = yield* Effect.raceFirst(send(Health.get, {}), givenUp)
    const missing = needs.filter(([feature]) => !features.includes(feature)).map(([, option]) => option)
    if (missing.length > 0) return yield* Sessions.refuseOptions(Sessions.create, missing)
  })

  const createSession = Effect.fnUntraced(function* (prepared: Sessions.PreparedCreate) {
    const { body, key, needs, secrets, withoutAgent } = prepared
    const abandoned = yield* Deferred.make<void>()
    let isSent = false
    let isHandled = false
    /** The caller gets no session, so what the server made is closed, or reported where its id is not known. */
    const closeUndecodable = Effect.fnUntraced(function* (answer: string) {
      const id = Sessions.idIn(answer)
      isHandled = true
      yield* id === undefined
        ? CloseFailure.reportUnknown("the answer to its creation does not show its id")
        : background(closeOrphan(id))
    })
    const sendOnce = (body: HttpBody.HttpBody, key?: string) =>
      Effect.suspend(() => {
        isSent = true
        return send(Sessions.create, {
          body,
          key,
          secrets,
          abandoned,
          onAbandoned: () => CloseFailure.reportUnanswered,
          onUndecodable: closeUndecodable
        })
      })
    const hasDefaultAgent = Effect.map(send(Health.get, {}), ({ features }) => features.includes("agents"))
    /** Where no agent was asked for, and the server has no agent of that name, its default is. The key of a refused call is not kept. */
    const withDefaultAgent = Effect.fnUntraced(function* (
      refused: CreateError
    ): Effect.fn.Return<SessionInfo, CreateError> {
      const isPossible = withoutAgent !== undefined && Sessions.isAgentRefused(refused)
      if (!isPossible || (yield* Deferred.isDone(abandoned))) return yield* Effect.fail(refused)
      if (!(yield* Effect.orElseSucceed(hasDefaultAgent, () => false))) return yield* Effect.fail(refused)
      return yield* sendOnce(withoutAgent, key)
    })
    const create = Effect.catch(sendOnce(body, key), withDefaultAgent)
    const creating = yield* background(Effect.andThen(checkOptions(needs, abandoned), create))
    const cleanUp = Effect.matchEffect(Fiber.join(creating), {
      onSuccess: ({ id }) => closeOrphan(id),
      // No one else learns of a session that may exist.
      onFailure: (error) =>
        isSent && !isHandled && Sessions.mayHaveCreated(error) ? CloseFailure.reportUnknown(error.message) : Effect.void
    })
    return {
      join: Fiber.join(creating),
      abandon: Deferred.succeed(abandoned, undefined).pipe(Effect.andThen(background(cleanUp)), Effect.asVoid)
    }
  })

  /** Prepares a run, whose agent only a server that names `agents` looks at. */
  const prepareRun = Effect.fnUntraced(function* (
    prompt: string,
    options?: Run.RunOptions | Run.RunStreamOptions
  ): Effect.fn.Return<Runs.PreparedRun, RunError> {
    const prepared = yield* Runs.prepare(prompt, options)
    if (prepared.agent !== undefined && !(yield* send(Health.get, {})).features.includes("agents")) {
      return yield* Sessions.refuseOptions(Runs.send, ["agent"])
    }
    return prepared
  })

  const run = Effect.fnUntraced(function* (prompt: string, options?: Run.RunOptions) {
    const prepared = yield* prepareRun(prompt, options)
    const { body, deadline, delivery, secrets } = prepared
    const { acceptsEvents, key } = delivery
    const sent = send(Runs.send, { query: Runs.query, body, deadline, secrets, key, acceptsEvents })
    return yield* Invocation.run(prepared, sent)
  })

  const streamRun = (prompt: string, options?: Run.RunStreamOptions) =>
    Stream.unwrap(
      Effect.map(prepareRun(prompt, options), (prepared) => {
        const { body, deadline, delivery, secrets } = prepared
        const { after, idle, key } = delivery
        return PartStream.make({
          begin: Invocation.beginRun(prepared),
          open: stream(Runs.send, { query: Runs.query, body, deadline, secrets, key, idle }),
          after,
          done: (run) => Run.Done({ run })
        })
      })
    )

  const upload = Effect.fnUntraced(function* <E, R>(source: Upload.Source<E, R>, options: Upload.UploadOptions = {}) {
    const { deadline, prepared, timeToLive } = yield* Files.prepare(source, options)
    const { readable, reading } = yield* Multipart.observe(Files.measured(prepared))
    const body = Files.body(readable, boundary, timeToLive)
    return yield* reading(send(Files.upload, { body, deadline, file: prepared.name, repeatable: prepared.rereadable }))
  })

  return {
    origin: options.url.origin,
    health: send(Health.get, {}),
    agents: send(Agents.list, {}),
    createSession,
    listSessions: (query) => send(Sessions.list, { query }),
    getSession: (id) => send(Sessions.get, { path: Paths.session.of(id) }),
    getDiff: (id) => send(Sessions.diff, { path: Paths.diff.of(id) }),
    files: FilesOfSession.make(exchange),
    turn: (id, { body, deadline, delivery: { acceptsEvents, key }, secrets }, onAbandoned) =>
      send(Turns.send, {
        path: Paths.turn.of(id),
        sessionId: id,
        body,
        deadline,
        secrets,
        key,
        acceptsEvents,
        onAbandoned
      }),
    streamTurn: (id, { body, deadline, delivery: { idle, key }, secrets }, onAbandoned) =>
      stream(Turns.send, { path: Paths.turn.of(id), sessionId: id, body, deadline, secrets, key, idle, onAbandoned }),
    cancelTurn: (id, key) => send(Turns.cancel, { path: Paths.cancel.of(id), key }),
    closeSession,
    run,
    streamRun,
    upload,
    scope,
    background,
    closeGroup: CloseGroup.make(background)
  }
})
