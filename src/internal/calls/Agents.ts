/**
 * `GET /agents`, on servers that name `agents`.
 */
import * as Wire from "../../wire/Agents.ts"
import * as Paths from "../../wire/Paths.ts"
import { callDeadline, decodeTo, decoder, define } from "./Operation.ts"

/** A server without `agents` answers 404. */
export const list = define({
  deadline: callDeadline,
  name: "Forge.agents",
  method: "GET",
  path: Paths.agents,
  statuses: [404],
  decode: decodeTo(decoder(Wire.List), ({ agents }) => agents)
})
