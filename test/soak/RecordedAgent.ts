/**
 * The demo agent, which also writes all that it is sent to the file that `SENT` names. Every second of its processes lives
 * on when its input ends, so that it has to be ended.
 */
import { appendFileSync } from "node:fs"

const file = process.env["SENT"] ?? ""

await import("../../src/agent/demo/Main.ts")
// Before the agent reads it, since what it reads may be that it shall exit.
process.stdin.prependListener("data", (text) => appendFileSync(file, text))
if (process.pid % 2 === 0) {
  process.stdin.removeAllListeners("end")
  setInterval(() => {}, 60_000)
}
