/**
 * The spans of an agent's work, named by OpenTelemetry's conventions for generative AI and for RPC. None has a prompt, an
 * answer or a token, also where it fails: of a failure it has the kind and the stop reason.
 */
import { Data, Effect, Predicate, Redacted, Stream, Tracer } from "effect"
import type { SessionId } from "../wire/Ids.ts"

/** Without a tracer to record it, a span would only cost time. */
const isRecording = Effect.map(Effect.tracer, (tracer) => tracer !== Tracer.nativeTracer)

/** A failure as a span has it. What an agent said in its failure may be the text of the prompt, and exporters send it. */
class SpanFailure<E> extends Data.TaggedError("SpanFailure")<{
  readonly message: string
  readonly failure: Redacted.Redacted<E>
}> {}

const kindOf = (failure: unknown): string => {
  const tag = Predicate.hasProperty(failure, "_tag") ? String(failure._tag) : "Error"
  return Predicate.hasProperty(failure, "stopReason") ? `${tag}: ${String(failure.stopReason)}` : tag
}
const hide = <E>(failure: E) => new SpanFailure({ message: kindOf(failure), failure: Redacted.make(failure) })
const reveal = <E>({ failure }: SpanFailure<E>): E => Redacted.value(failure)

const stream =
  (name: string, options: Tracer.SpanOptions) =>
  <A, E, R>(self: Stream.Stream<A, E, R>): Stream.Stream<A, E, R> =>
    Stream.unwrap(
      Effect.map(isRecording, (recording) =>
        recording
          ? self.pipe(
              Stream.mapError(hide),
              Stream.withSpan(name, { ...options, captureStackTrace: false }),
              Stream.mapError(reveal)
            )
          : self
      )
    )

const effect =
  (name: string, options: Tracer.SpanOptions = {}) =>
  <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.flatMap(isRecording, (recording) =>
      recording
        ? self.pipe(
            Effect.mapError(hide),
            Effect.withSpan(name, options, { captureStackTrace: false }),
            Effect.mapError(reveal)
          )
        : self
    )

/** The opening of a session. */
export const open = effect("SessionEngine.open")

/** A run, from its admission to its end. */
export const run = effect("Runs.run")

/** A turn, from its admission to its end; the agent is that of a session that is open here. */
export const turn = (sessionId: SessionId, agent: string | undefined) =>
  stream("invoke_agent", {
    attributes: {
      "gen_ai.operation.name": "invoke_agent",
      "gen_ai.provider.name": "clawdforge",
      ...(agent === undefined ? {} : { "gen_ai.agent.name": agent }),
      "gen_ai.conversation.id": sessionId
    }
  })

/** The wait for a process: for a slot, and for the agent to start where it is not running. */
export const acquireProcess = (agent: string) =>
  effect(`acquire_process ${agent}`, { attributes: { "gen_ai.agent.name": agent } })

/** A prompt to an agent, until the agent has answered it. */
export const prompt = (agent: string) =>
  stream("session/prompt", {
    kind: "client",
    attributes: { "rpc.system.name": "jsonrpc", "rpc.method": "session/prompt", "gen_ai.agent.name": agent }
  })
