/**
 * `GET /healthz`.
 */
import * as Wire from "../../wire/Health.ts"
import * as Paths from "../../wire/Paths.ts"
import { callDeadline, decoder, define } from "./Operation.ts"

/** Whether the server is alive; it goes without a token. */
export const get = define({
  deadline: callDeadline,
  name: "Forge.health",
  method: "GET",
  path: Paths.health,
  statuses: [],
  anonymous: true,
  decode: decoder(Wire.health)
})
