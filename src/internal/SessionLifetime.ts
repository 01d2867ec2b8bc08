/**
 * How a session is opened and closed: in a scope that owns it, by hand, or by a handle on one that is owned elsewhere.
 */
import { Duration, Effect, Exit, Scope } from "effect"
import type { CreateError, StateError } from "../ForgeError.ts"
import type { Session } from "../Session.ts"
import type { SessionId, SessionOptions } from "../SessionInfo.ts"
import * as Sessions from "./calls/Sessions.ts"
import type { CloseGroup } from "./CloseGroup.ts"
import type { Protocol } from "./Protocol.ts"
import { SessionHandle } from "./SessionHandle.ts"
import * as CloseFailure from "./telemetry/CloseFailure.ts"
import * as Invocation from "./telemetry/Invocation.ts"
import * as SessionSpan from "./telemetry/SessionSpan.ts"

/** How long the end of a scope may take to close its session. */
const closeBound = Duration.seconds(5)

/** Closes a session within the bound. A failure is reported, and fails nothing else. */
const closeWithin = Effect.fnUntraced(function* (self: SessionHandle) {
  if (self.isClosed) return
  const close = Effect.timeoutOrElse(self.close, {
    duration: closeBound,
    orElse: () => Effect.fail({ message: `the server did not answer within ${Duration.format(closeBound)}` })
  })
  yield* CloseFailure.report(self.id, close)
  self.released()
})

/** Releases a session at the end of its scope, together with the other sessions of that scope. */
const release = Effect.fnUntraced(function* (
  self: SessionHandle,
  group: CloseGroup,
  exit: Exit.Exit<unknown, unknown>
) {
  yield* SessionSpan.released(self.span)
  yield* group.close(Effect.andThen(closeWithin(self), SessionSpan.end(self.span, exit)))
})

/**
 * Opens a session that is closed when the scope ends. An interrupt returns at once: a session that the server creates all
 * the same is closed in the background.
 */
export const acquire = (
  protocol: Protocol,
  options?: SessionOptions
): Effect.Effect<Session, CreateError, Scope.Scope> =>
  Effect.uninterruptibleMask((restore) => tieToClient(protocol, createHandle(protocol, options, restore)))

/**
 * Releases a handle with the caller's scope or with the client's, whichever ends first: without its client a session can
 * no longer be closed.
 */
const tieToClient = Effect.fnUntraced(function* <E>(
  protocol: Protocol,
  acquire: Effect.Effect<SessionHandle, E, Scope.Scope>
) {
  const scope = yield* Effect.acquireRelease(Scope.fork(protocol.scope), (scope, exit) => Scope.close(scope, exit))
  const group = protocol.closeGroup(yield* Effect.scope)
  const context = yield* Effect.context()
  const handle = yield* acquire.pipe(
    Scope.provide(scope),
    Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
  )
  group.add()
  // Spans and logs of the close go where those of the creation went, in whatever context the scope ends.
  yield* Scope.addFinalizerExit(scope, (exit) => Effect.provideContext(release(handle, group, exit), context))
  return handle
})

type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/** Creates a session, under a span that goes on. */
const create = Effect.fnUntraced(function* (protocol: Protocol, options: SessionOptions | undefined, restore: Restore) {
  const prepared = yield* Sessions.prepareCreate(options)
  const { agent, model } = prepared
  const span = yield* SessionSpan.make(agent)
  const created = Effect.flatMap(protocol.createSession(prepared), ({ abandon, join }) =>
    Effect.onInterrupt(restore(join), () => abandon)
  )
  const info = yield* Invocation.create(agent, model, span, created).pipe(
    Effect.onError((cause) => SessionSpan.end(span, Exit.failCause(cause)))
  )
  return { info, span }
})

const createHandle = Effect.fnUntraced(function* (
  protocol: Protocol,
  options: SessionOptions | undefined,
  restore: Restore
) {
  const { info, span } = yield* create(protocol, options, restore)
  yield* SessionSpan.opened(span, info)
  return new SessionHandle(protocol, info, { owned: true, span })
})

/** Opens a session that only its `close` closes. */
export const openUnscoped = (protocol: Protocol, options?: SessionOptions): Effect.Effect<Session, CreateError> =>
  Effect.uninterruptibleMask(
    Effect.fnUntraced(function* (restore) {
      const { info, span } = yield* create(protocol, options, restore)
      yield* SessionSpan.end(span, Exit.void)
      return new SessionHandle(protocol, info, { owned: true, span: undefined })
    })
  )

/** A handle on a session that is owned elsewhere: only its `close` closes it. */
export const attach = Effect.fnUntraced(function* (
  protocol: Protocol,
  id: SessionId
): Effect.fn.Return<Session, StateError> {
  yield* Sessions.checkId(id)
  const { agent, closedAt, createdAt, cwd, model } = yield* protocol.getSession(id)
  const handle = new SessionHandle(protocol, { id, agent, createdAt, cwd, model }, { owned: false, span: undefined })
  if (closedAt !== null) handle.finish("server")
  return handle
})
