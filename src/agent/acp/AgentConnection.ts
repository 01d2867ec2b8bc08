/**
 * A connection to one agent process over the Agent Client Protocol.
 *
 * Session updates are taken from the message stream before the protocol library sees them, because the library rejects
 * unknown kinds and strips unknown fields. Handling an update may suspend, which applies backpressure to the agent.
 * Requests fail when the agent does not answer in time, and at once when its process exits.
 */
import { type AnyMessage, client, RequestError } from "@agentclientprotocol/sdk"
import {
  Data,
  Deferred,
  Duration,
  Effect,
  Fiber,
  Latch,
  Option,
  Queue,
  Result,
  Schema,
  type Scope,
  Stream
} from "effect"
import { Ndjson } from "effect/encoding"
import type { AgentFailed, AgentFailureKind } from "../Agent.ts"
import type { AgentChild } from "../process/AgentProcess.ts"
import type { AgentInbox } from "./AgentInbox.ts"
import * as AgentMessages from "./AgentMessages.ts"
import { clientInfo } from "./ClientInfo.ts"
import * as ErrorReason from "./ErrorReason.ts"
import * as Permission from "./Permission.ts"
import type { OutputBudget } from "./OutputBudget.ts"
import * as PendingRequests from "./PendingRequests.ts"

/** The agent answered a request with an error. */
export class RequestRefused extends Data.TaggedError("RequestRefused")<{
  readonly code: number
  /** The agent's message, on one line. */
  readonly reason: string
  /** Whether the agent reported anything while it had the request. */
  readonly afterReports: boolean
}> {
  override get message(): string {
    return this.reason
  }

  get kind(): AgentFailureKind {
    return this.code === authRequired ? "auth_required" : "refused"
  }
}

/** The only other failure of a request in the library. */
class ConnectionClosed extends Data.TaggedError("ConnectionClosed") {}

export interface AgentConnection {
  /** Sends a request and decodes the response. Without `within` it waits until the process exits. */
  readonly request: <S extends Schema.ConstraintDecoder<unknown>>(
    request: Request<S>
  ) => Effect.Effect<S["Type"], AgentFailed | RequestRefused>
  readonly notify: (method: string, params: Params) => Effect.Effect<void>
  /** Resets the output counters for a turn, and again when the scope closes. */
  readonly beginTurn: Effect.Effect<void, never, Scope.Scope>
  /** Waits until the process can no longer be reached: it has exited, or closed a pipe. */
  readonly ended: Effect.Effect<void>
  /** Waits for the process to exit and for the rest of its output, and returns how it exited. */
  readonly exited: Effect.Effect<AgentFailed>
}

type Params = Readonly<Record<string, unknown>>

interface Request<S> {
  readonly method: string
  readonly params: Params
  /** Decodes the response. */
  readonly answer: S
  readonly within?: Duration.Duration | undefined
}

export interface Options {
  readonly name: string
  readonly child: AgentChild
  /** Receives the agent's updates and permission requests, in order. */
  readonly inbox: AgentInbox
  /** The agent's output is charged to it until the turn is over. */
  readonly budget: OutputBudget
}

/** How long to read on after the agent has exited, and how long to wait for its exit after it has closed a pipe. */
const drainLimit = "1 second"

/** Messages queued for the agent. It could otherwise fill memory by sending requests without reading the responses. */
const maxUnread = 1_000

const decodePermission = Schema.decodeUnknownSync(Permission.Request)

/** The protocol's error code for an agent that needs a login. */
export const authRequired = -32000

/** The protocol's error code for a session that does not exist. */
export const notFound = -32002

const refusal = (error: RequestError, afterReports: boolean): RequestRefused =>
  new RequestRefused({ code: error.code, reason: ErrorReason.from(error), afterReports })

/** An inbox that counts what it is handed. */
const counting = (inbox: AgentInbox) => {
  let reports = 0
  const counted: AgentInbox = {
    ...inbox,
    update: (params) => {
      reports++
      return inbox.update(params)
    },
    permission: (request) => {
      reports++
      return inbox.permission(request)
    }
  }
  return { inbox: counted, reports: () => reports }
}

/** Both directions as web streams, which the protocol library requires. */
const openStreams = Effect.fnUntraced(function* (
  { budget, child, inbox }: Options,
  counters: AgentMessages.OutputCounters
) {
  const outgoing = yield* Queue.dropping<AnyMessage>(maxUnread)
  const overrun = yield* Latch.make()
  yield* overrun.await.pipe(
    Effect.andThen(child.kill("sent requests without reading the responses and was terminated")),
    Effect.forkScoped
  )
  const writing = yield* Stream.fromQueue(outgoing).pipe(
    Stream.pipeThroughChannel(Ndjson.encode()),
    Stream.run(child.stdin),
    Effect.ignore,
    Effect.forkScoped
  )
  const pending = PendingRequests.make()
  const writable = new WritableStream<AnyMessage>({
    write: (message) => {
      if ("method" in message && "id" in message) pending.add(message.id)
      if (!Queue.offerUnsafe(outgoing, message)) overrun.openUnsafe()
    }
  })
  const readable = yield* AgentMessages.decode(child.stdout, {
    budget,
    counters,
    onStrayLine: child.appendStderr
  }).pipe(
    Stream.filterMapEffect((message): Effect.Effect<Result.Result<AnyMessage, void>> => {
      if (!("method" in message)) {
        // The library prints responses that match no request, so they are dropped here.
        const id = pending.take(message.id)
        return Effect.succeed(id === undefined ? Result.failVoid : Result.succeed({ ...message, id }))
      }
      if (message.method !== "session/update") return Effect.succeed(Result.succeed(message))
      return Effect.as(inbox.update("params" in message ? message.params : undefined), Result.failVoid)
    }),
    Stream.tapError((error) => (error._tag === "Unreadable" ? child.kill(error.reason) : Effect.void)),
    Stream.toReadableStreamEffect()
  )
  // Writing only ends before the scope closes if the agent has closed its input.
  return { readable, writable, inputClosed: Fiber.await(writing) }
})

/**
 * Observes the end of the process. One that closes its input or output but keeps running is killed, since it can no longer
 * be reached. Closing the scope counts as the exit, so that pending requests fail.
 *
 * The output is read on after the exit: the agent may have answered before it. Its descendants may hold the output open;
 * they are not signalled until pending requests have failed, since they could answer those in its place.
 */
const observeExit = Effect.fnUntraced(function* (
  { child, name }: Options,
  {
    inputClosed,
    outputClosed
  }: { readonly inputClosed: Effect.Effect<unknown>; readonly outputClosed: Effect.Effect<unknown> }
) {
  const ended = yield* Deferred.make<void>()
  const exit = yield* Deferred.make<AgentFailed>()
  yield* Effect.addFinalizer(() =>
    Effect.flatMap(child.failure(`Agent ${name} was closed.`, "error", "closed"), (failure) =>
      Deferred.succeed(exit, failure)
    )
  )
  yield* Effect.gen(function* () {
    const closed = yield* Effect.raceAllFirst([
      Effect.as(child.exited, "output"),
      Effect.as(outputClosed, "output"),
      Effect.as(inputClosed, "input")
    ])
    yield* Deferred.succeed(ended, undefined)
    const exited = yield* Effect.timeoutOption(child.exited, drainLimit)
    if (Option.isNone(exited)) {
      yield* child.kill(`closed its ${closed} and was terminated`).pipe(Effect.forkScoped)
    }
    const how = Option.isSome(exited) ? exited.value : yield* child.exited
    yield* Effect.timeoutOption(outputClosed, drainLimit)
    yield* Deferred.succeed(exit, yield* child.failure(how, "error", "exited"))
  }).pipe(Effect.forkScoped)
  return { ended, exit }
})

/** Connects to a process, until the scope closes or the process exits. */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<AgentConnection, never, Scope.Scope> {
  const { budget, child, name } = options
  const { inbox, reports } = counting(options.inbox)
  const counters = AgentMessages.makeCounters()
  const resetCounters = Effect.sync(() => {
    budget.give(counters.characters)
    Object.assign(counters, AgentMessages.makeCounters())
  })
  yield* Effect.addFinalizer(() => resetCounters)
  const streams = yield* openStreams({ ...options, inbox }, counters)
  // boundary: the protocol library uses web streams and promises.
  const run = Effect.runPromiseWith(yield* Effect.context())
  const connection = client({ name: clientInfo.name })
    .onRequest("session/request_permission", decodePermission, ({ params }) =>
      run(Effect.map(inbox.permission(params), (outcome) => ({ outcome })))
    )
    .connect(streams)
  yield* Effect.addFinalizer(() => Effect.sync(() => connection.close()))
  const { ended, exit } = yield* observeExit(options, {
    outputClosed: Effect.promise(() => connection.closed),
    inputClosed: streams.inputClosed
  })
  const failOnExit = Effect.flatMap(Deferred.await(exit), Effect.fail)

  const send = Effect.fnUntraced(function* (method: string, params: Params) {
    const before = reports()
    return yield* Effect.tryPromise({
      try: () => connection.agent.request<unknown, Params>(method, params),
      catch: (error) => (error instanceof RequestError ? refusal(error, reports() !== before) : new ConnectionClosed())
    }).pipe(
      // A process whose connection has closed exits or is killed, so this does not wait for long.
      Effect.catchTag("ConnectionClosed", () => failOnExit),
      Effect.raceFirst(failOnExit)
    )
  })

  const request = Effect.fnUntraced(function* <S extends Schema.ConstraintDecoder<unknown>>(request: Request<S>) {
    const { answer, method, params, within = Duration.infinity } = request
    const timedOut = `Agent ${name} did not answer ${method} within ${Duration.format(within)}.`
    const response = yield* Effect.timeoutOrElse(send(method, params), {
      duration: within,
      orElse: () => child.fail(timedOut, "timeout")
    })
    return yield* Schema.decodeUnknownEffect(answer)(response).pipe(
      Effect.catch(() =>
        child.fail(`Agent ${name} sent an invalid response to ${method}.`, "error", "invalid_response")
      )
    )
  })

  return {
    request,
    notify: (method, params) => Effect.ignore(Effect.tryPromise(() => connection.agent.notify(method, params))),
    beginTurn: Effect.acquireRelease(resetCounters, () => resetCounters),
    ended: Deferred.await(ended),
    exited: Deferred.await(exit)
  }
})
