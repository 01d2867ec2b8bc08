/**
 * Spans and metrics of the client, named after OpenTelemetry's conventions for GenAI and HTTP.
 *
 * The client only emits them: without a tracer and a metrics exporter of yours, nothing leaves the program. Tokens never
 * appear in them, prompts and answers only on request.
 *
 * The spans of a session in a trace:
 *
 * ```text
 * session demo
 * ├─ create_agent demo
 * │  └─ POST /sessions
 * ├─ invoke_agent demo
 * │  └─ POST /sessions/{id}/turn
 * └─ DELETE /sessions/{id}
 * ```
 *
 * An operation inside one of your own spans becomes a child of that span, and links to the session. A run is a single
 * `invoke_agent`. Each attempt of a retried request has a span, with `http.request.resend_count`. `error.type` is the HTTP
 * status, or the reason why there was none: `Connect`, `Reset`, `Timeout`, `Malformed`; `Invalid` where nothing was sent.
 *
 * **Example** (Turning telemetry off, or recording prompts and answers)
 *
 * ```ts
 * import { Layer } from "effect"
 * import { Telemetry } from "effect-clawdforge"
 *
 * export const silent = Layer.succeed(Telemetry.Enabled, false)
 * export const verbose = Layer.succeed(Telemetry.CaptureContent, true)
 * ```
 */
import { Context, Metric } from "effect"

// ---------------------------------------------------------------------------------------------------------------------
// Settings
// ---------------------------------------------------------------------------------------------------------------------

/** Whether spans and metrics are emitted, and `traceparent` is sent: true by default. */
export const Enabled = Context.Reference<boolean>("effect-clawdforge/Telemetry/Enabled", { defaultValue: () => true })

/** Whether the spans of turns and runs hold prompts, system prompts and answers: false by default. */
export const CaptureContent = Context.Reference<boolean>("effect-clawdforge/Telemetry/CaptureContent", {
  defaultValue: () => false
})

// ---------------------------------------------------------------------------------------------------------------------
// Metrics
// ---------------------------------------------------------------------------------------------------------------------

/** Durations of creating sessions, of turns and of runs, in seconds. */
export const operationDuration = Metric.histogram("gen_ai.client.operation.duration", {
  description: "Duration of creating sessions, of turns and of runs",
  // Exporters read the unit here.
  attributes: { unit: "s" },
  boundaries: [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 300, 600]
})

/** How long a streamed turn or run took to its first part, in seconds. */
export const timeToFirstChunk = Metric.histogram("gen_ai.client.operation.time_to_first_chunk", {
  description: "Time to the first part of a streamed turn or run",
  attributes: { unit: "s" },
  boundaries: [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60]
})

/** Tokens of turns and runs, by `gen_ai.token.type`: `input` or `output`. */
export const tokenUsage = Metric.histogram("gen_ai.client.token.usage", {
  description: "Tokens used by turns and runs",
  attributes: { unit: "{token}" },
  boundaries: [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304]
})

/** Sessions that the scopes of this program hold open. */
export const openSessions = Metric.gauge("clawdforge.client.sessions.open", {
  description: "Sessions that scopes hold open",
  attributes: { unit: "{session}" }
})

/** Sessions that could not be closed at the end of their scope. */
export const failedCloses = Metric.counter("clawdforge.client.session.close.failures", {
  description: "Sessions that could not be closed at the end of their scope",
  attributes: { unit: "{session}" },
  incremental: true
})
