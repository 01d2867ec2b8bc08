/**
 * `GET /healthz`.
 */
import * as Wire from "../../wire/Health.ts"
import * as Paths from "../../wire/Paths.ts"
import type { Health } from "../../Health.ts"
import { callDeadline, decodeTo, decoder, define } from "./Operation.ts"

const toHealth = (health: Wire.Health): Health => ({
  ok: health.ok,
  claudePresent: health.claudePresent,
  claudeVersion: health.claudeVersion,
  acpxPresent: health.acpxPresent,
  acpxVersion: health.acpxVersion,
  openSessions: health.openSessions,
  features: health.features
})

/** Whether the server is alive; it goes without a token. */
export const get = define({
  deadline: callDeadline,
  name: "Forge.health",
  method: "GET",
  path: Paths.health,
  statuses: [],
  anonymous: true,
  decode: decodeTo(decoder(Wire.Health), toHealth)
})
