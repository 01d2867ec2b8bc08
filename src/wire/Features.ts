/**
 * What our server adds to the contract, by the names that `GET /healthz` gives it.
 */

export const features = [
  "agents",
  "cancel",
  "diff",
  "events",
  "files",
  "idempotency",
  "linger",
  "mcp_servers",
  "pages",
  "ready",
  "request_id",
  "run_stream",
  "session_options",
  "stream",
  "usage",
  "workspaces"
] as const

export type Feature = (typeof features)[number]
