/**
 * The metrics of the server, for `/metrics`. No label has an id.
 */
import { Duration, Effect, Metric } from "effect"

const openSessions = Metric.gauge("clawdforge_open_sessions", { description: "Sessions that are open" })

const sessions = Metric.gauge("clawdforge_sessions", { description: "Open sessions, by state" })

const processes = Metric.gauge("clawdforge_agent_processes", { description: "Agent processes that live" })

const swept = Metric.counter("clawdforge_sessions_swept_total", {
  description: "Sessions that the sweeper closed (soft_closed) or deleted (hard_deleted)",
  incremental: true
})

const requests = Metric.counter("clawdforge_http_requests_total", {
  description: "Requests that were answered, by method, route and status",
  incremental: true
})

const requestDuration = Metric.histogram("clawdforge_http_request_duration_seconds", {
  description: "How long it took until an answer began, by method and route",
  boundaries: [0.005, 0.02, 0.1, 0.5, 2, 10, 60, 300]
})

export const setOpenSessions = (count: number) => Metric.update(openSessions, count)

export const setSessions = (states: Readonly<Record<string, number>>) =>
  Effect.forEach(
    Object.entries(states),
    ([state, count]) => Metric.update(Metric.withAttributes(sessions, { state }), count),
    { discard: true }
  )

export const setProcesses = (count: number) => Metric.update(processes, count)

export const countSwept = Effect.fnUntraced(function* (counts: {
  readonly softClosed: number
  readonly hardDeleted: number
}) {
  yield* Metric.update(Metric.withAttributes(swept, { what: "soft_closed" }), counts.softClosed)
  yield* Metric.update(Metric.withAttributes(swept, { what: "hard_deleted" }), counts.hardDeleted)
})

/** A request, by method and the route of its path. */
export interface Request {
  readonly method: string
  readonly route: string
}

export const countRequest = Effect.fnUntraced(function* (
  request: Request & { readonly status: number; readonly duration: Duration.Duration }
) {
  const { duration, method, route, status } = request
  yield* Metric.update(Metric.withAttributes(requests, { method, route, status: String(status) }), 1)
  yield* Metric.update(Metric.withAttributes(requestDuration, { method, route }), Duration.toSeconds(duration))
})
