/**
 * What the client tells of its work: spans and metrics, under the names of OpenTelemetry's conventions for GenAI and HTTP.
 *
 * It only emits: without a tracer and a metrics exporter of yours, nothing leaves the program. Tokens are never told, and
 * prompts and answers only when asked for.
 *
 * The spans of a session, as a trace shows them:
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
 * What is done inside a span of the program's own goes under that one, with a link to the session. A run is an
 * `invoke_agent` by itself. A request that is repeated has a span for each time, with `http.request.resend_count`.
 * `error.type` is the status that the server answered with, or what kept it from answering: `Connect`, `Reset`,
 * `Timeout`, `Malformed`; `Invalid` where nothing was sent.
 *
 * **Example** (Turning it off, and telling prompts and answers)
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

/** How long creating sessions, turns and runs took, in seconds. */
export const operationDuration = Metric.histogram("gen_ai.client.operation.duration", {
  description: "Duration of creating sessions, of turns and of runs",
  // An exporter takes the unit from here.
  attributes: { unit: "s" },
  boundaries: [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 300, 600]
})

/** The tokens of turns and runs, by `gen_ai.token.type`: `input` or `output`. */
export const tokenUsage = Metric.histogram("gen_ai.client.token.usage", {
  description: "Tokens used by turns and runs",
  attributes: { unit: "{token}" },
  boundaries: [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304]
})

/** How many sessions this program holds open. */
export const openSessions = Metric.gauge("clawdforge.client.sessions.open", {
  description: "Sessions that scopes hold open",
  attributes: { unit: "{session}" }
})

/** How many sessions could not be closed at the end of their scope. */
export const failedCloses = Metric.counter("clawdforge.client.session.close.failures", {
  description: "Sessions that could not be closed at the end of their scope",
  attributes: { unit: "{session}" },
  incremental: true
})
