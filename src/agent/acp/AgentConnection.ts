/**
 * The Agent Client Protocol with one agent process.
 *
 * Session updates are taken from the stream of messages before the protocol's library sees them: the library refuses
 * kinds that it does not know and strips fields. Reading one is an effect, so an agent that is faster than its reader
 * waits. Requests fail when the agent does not answer in time, and at once when its process ends.
 */
import { type AnyMessage, client, RequestError } from "@agentclientprotocol/sdk"
import { Data, Deferred, Duration, Effect, Fiber, Latch, Option, Queue, Schema, type Scope, Stream } from "effect"
import { Ndjson } from "effect/encoding"
import type { AgentFailed } from "../Agent.ts"
import type { AgentChild } from "../process/AgentProcess.ts"
import type { AgentInbox } from "./AgentInbox.ts"
import * as AgentMessages from "./AgentMessages.ts"
import { clientInfo } from "./ClientInfo.ts"
import * as Permission from "./Permission.ts"
import type { OutputBudget } from "./OutputBudget.ts"

/** The agent answered a request with an error. */
export class RequestRefused extends Data.TaggedError("RequestRefused")<{
  readonly code: number
  /** The agent's words, on one line. */
  readonly reason: string
}> {
  override get message(): string {
    return this.reason
  }
}

/** The library's only other way to fail a request. */
class ConnectionClosed extends Data.TaggedError("ConnectionClosed") {}

export interface AgentConnection {
  /** Sends a request; its answer is read by the schema. Without a limit it waits as long as the process lives. */
  readonly request: <S extends Schema.ConstraintDecoder<unknown>>(
    request: Request<S>
  ) => Effect.Effect<S["Type"], AgentFailed | RequestRefused>
  readonly notify: (method: string, params: Params) => Effect.Effect<void>
  /** What the agent has written counts from here on against its bounds for one turn, which ends with the scope. */
  readonly beginTurn: Effect.Effect<void, never, Scope.Scope>
  /** How the process ended, once it has. */
  readonly gone: Effect.Effect<AgentFailed>
}

type Params = Readonly<Record<string, unknown>>

interface Request<S> {
  readonly method: string
  readonly params: Params
  readonly answer: S
  readonly within?: Duration.Duration | undefined
}

export interface Options {
  readonly name: string
  readonly child: AgentChild
  /** Gets what the agent sends by itself, in order. */
  readonly inbox: AgentInbox
  /** What the agent writes counts against it until its turn is over. */
  readonly budget: OutputBudget
}

/** An agent that ended may have left messages in the pipe, and one that closed its input or output is given time to end. */
const drainLimit = "1 second"

/** As many messages as wait for an agent to read them. What it asks for is answered, and it may ask without listening. */
const maxUnread = 1_000

const decodePermission = Schema.decodeUnknownSync(Permission.Request)

/** The code by which the protocol says that the agent wants to be logged in. */
export const authRequired = -32000

const isDetail = Schema.is(Schema.Union([Schema.String, Schema.Struct({ details: Schema.String })]))
/** Claude's adapter says what kind of failure it was. */
const isErrorKind = Schema.is(Schema.Struct({ errorKind: Schema.String }))

/** The message of an error, with what the agent added to it. */
const wordsOf = ({ code, data, message }: RequestError): string => {
  if (isErrorKind(data)) return `${data.errorKind}: ${message.replace(/^Internal error: /, "")}`
  if (code === authRequired) return `${message}: the agent is not logged in, or its key is not valid`
  const detail = isDetail(data) ? (typeof data === "string" ? data : data.details) : ""
  return detail === "" ? message : `${message}: ${detail}`
}

const refusal = (error: RequestError): RequestRefused => {
  const reason = wordsOf(error).replaceAll(/\s+/g, " ").trim().slice(0, 500)
  return new RequestRefused({ code: error.code, reason })
}

/** Both directions, as the protocol's library takes them. */
const openStreams = Effect.fnUntraced(function* ({ budget, child, inbox }: Options, written: AgentMessages.Written) {
  const outgoing = yield* Queue.dropping<AnyMessage>(maxUnread)
  const overrun = yield* Latch.make()
  yield* overrun.await.pipe(
    Effect.andThen(child.kill("asked for more than it listens to, and was ended")),
    Effect.forkScoped
  )
  const writing = yield* Stream.fromQueue(outgoing).pipe(
    Stream.pipeThroughChannel(Ndjson.encode()),
    Stream.run(child.stdin),
    Effect.ignore,
    Effect.forkScoped
  )
  /** The requests that the agent has not answered yet. */
  const asked = new Set<unknown>()
  const writable = new WritableStream<AnyMessage>({
    write: (message) => {
      if ("method" in message && "id" in message) asked.add(message.id)
      if (!Queue.offerUnsafe(outgoing, message)) overrun.openUnsafe()
    }
  })
  const readable = yield* AgentMessages.decode(child.stdout, { budget, written, stray: child.note }).pipe(
    Stream.filterEffect((message) => {
      // The library prints answers that nobody asked for.
      if (!("method" in message)) return Effect.succeed(asked.delete(message.id))
      if (message.method !== "session/update") return Effect.succeed(true)
      return Effect.as(inbox.update("params" in message ? message.params : undefined), false)
    }),
    Stream.tapError((error) => (error._tag === "Unreadable" ? child.kill(error.reason) : Effect.void)),
    Stream.toReadableStreamEffect()
  )
  // Writing to it goes on until the scope closes, unless nobody reads the pipe any more.
  return { readable, writable, inputClosed: Fiber.await(writing) }
})

/**
 * Done with how the process ended, once it has. A process that closes its input or its output and lives on is ended:
 * nothing more can be told to it, or heard from it. At the end of the scope it is done in any case, for whoever still
 * waits for an answer.
 */
const watchEnd = Effect.fnUntraced(function* (
  { child, name }: Options,
  {
    inputClosed,
    outputClosed
  }: { readonly inputClosed: Effect.Effect<unknown>; readonly outputClosed: Effect.Effect<unknown> }
) {
  const gone = yield* Deferred.make<AgentFailed>()
  yield* Effect.addFinalizer(() =>
    Effect.flatMap(child.failure(`Agent ${name} was closed.`), (failure) => Deferred.succeed(gone, failure))
  )
  yield* Effect.gen(function* () {
    const lost = yield* Effect.raceAllFirst([
      Effect.as(child.exited, "output"),
      Effect.as(outputClosed, "output"),
      Effect.as(inputClosed, "input")
    ])
    const exited = yield* Effect.timeoutOption(child.exited, drainLimit)
    // Also where it ended by itself: others of its group may hold its output open.
    yield* child.kill(`closed its ${lost} and was ended`).pipe(Effect.forkScoped)
    const how = Option.isSome(exited) ? exited.value : yield* child.exited
    yield* Effect.timeoutOption(outputClosed, drainLimit)
    yield* Deferred.succeed(gone, yield* child.failure(how))
  }).pipe(Effect.forkScoped)
  return gone
})

/** Speaks the protocol with a process until the scope closes or the process ends. */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<AgentConnection, never, Scope.Scope> {
  const { budget, child, inbox, name } = options
  const written = AgentMessages.nothing()
  const forget = Effect.sync(() => {
    budget.give(written.characters)
    Object.assign(written, AgentMessages.nothing())
  })
  yield* Effect.addFinalizer(() => forget)
  const streams = yield* openStreams(options, written)
  // boundary: the protocol's library speaks web streams and promises.
  const run = Effect.runPromiseWith(yield* Effect.context())
  const connection = client({ name: clientInfo.name })
    .onRequest("session/request_permission", decodePermission, ({ params }) =>
      run(Effect.map(inbox.permission(params), (outcome) => ({ outcome })))
    )
    .connect(streams)
  yield* Effect.addFinalizer(() => Effect.sync(() => connection.close()))
  const gone = yield* watchEnd(options, {
    outputClosed: Effect.promise(() => connection.closed),
    inputClosed: streams.inputClosed
  })
  const ended = Effect.flatMap(Deferred.await(gone), Effect.fail)

  const send = (method: string, params: Params): Effect.Effect<unknown, RequestRefused | AgentFailed> =>
    Effect.tryPromise({
      try: () => connection.agent.request<unknown, Params>(method, params),
      catch: (error) => (error instanceof RequestError ? refusal(error) : new ConnectionClosed())
    }).pipe(
      // Closing the connection ends the process, if that has not ended by itself.
      Effect.catchTag("ConnectionClosed", () => ended),
      Effect.raceFirst(ended)
    )

  const request = Effect.fnUntraced(function* <S extends Schema.ConstraintDecoder<unknown>>(request: Request<S>) {
    const { answer, method, params, within = Duration.infinity } = request
    const late = `Agent ${name} did not answer ${method} within ${Duration.format(within)}.`
    const answered = yield* Effect.timeoutOrElse(send(method, params), {
      duration: within,
      orElse: () => child.fail(late, "timeout")
    })
    return yield* Schema.decodeUnknownEffect(answer)(answered).pipe(
      Effect.catch(() => child.fail(`Agent ${name} gave an answer to ${method} that cannot be read.`))
    )
  })

  return {
    request,
    notify: (method, params) => Effect.ignore(Effect.tryPromise(() => connection.agent.notify(method, params))),
    beginTurn: Effect.acquireRelease(forget, () => forget),
    gone: Deferred.await(gone)
  }
})
