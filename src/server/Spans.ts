/**
 * The spans of an agent's work, named by OpenTelemetry's conventions for generative AI and for RPC. None has a prompt, an
 * answer or a token.
 */
import { Effect, Stream, Tracer } from "effect"
import type { SessionId } from "../wire/Ids.ts"

/** Without a tracer to record it, a span would only cost time. */
const isRecording = Effect.map(Effect.tracer, (tracer) => tracer !== Tracer.nativeTracer)

const stream =
  (name: string, options: Tracer.SpanOptions) =>
  <A, E, R>(self: Stream.Stream<A, E, R>): Stream.Stream<A, E, R> =>
    Stream.unwrap(
      Effect.map(isRecording, (recording) =>
        recording ? Stream.withSpan(self, name, { ...options, captureStackTrace: false }) : self
      )
    )

/** A turn, from its admission to its end. */
export const turn = (sessionId: SessionId) =>
  stream("invoke_agent", {
    attributes: {
      "gen_ai.operation.name": "invoke_agent",
      "gen_ai.provider.name": "clawdforge",
      "gen_ai.conversation.id": sessionId
    }
  })

/** The wait for a process: for a slot, and for the agent to start where it is not running. */
export const acquireProcess =
  (agent: string) =>
  <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.flatMap(isRecording, (recording) =>
      recording
        ? Effect.withSpan(self, `acquire_process ${agent}`, {
            attributes: { "gen_ai.agent.name": agent },
            captureStackTrace: false
          })
        : self
    )

/** A prompt to an agent, until the agent has answered it. */
export const prompt = (agent: string) =>
  stream("session/prompt", {
    kind: "client",
    attributes: { "rpc.system.name": "jsonrpc", "rpc.method": "session/prompt", "gen_ai.agent.name": agent }
  })
