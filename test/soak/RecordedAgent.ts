/**
 * The demo agent, which also writes all that it is sent to the file that `SENT` names. Every second of its processes lives
 * on when its input ends, so that it has to be ended; and of its turns every third leaves a process behind that is in no
 * group with it, and would live for long.
 */
import { spawn } from "node:child_process"
import { appendFileSync } from "node:fs"

const file = process.env["SENT"] ?? ""
// Most processes take only a few turns.
let turns = process.pid

await import("../../src/agent/demo/Main.ts")
// Before the agent reads it, since what it reads may be that it shall exit.
process.stdin.prependListener("data", (text) => {
  appendFileSync(file, text)
  if (String(text).includes('"session/prompt"') && ++turns % 3 === 0)
    spawn("sleep", ["3600"], { detached: true, stdio: "ignore" }).unref()
})
if (process.pid % 2 === 0) {
  process.stdin.removeAllListeners("end")
  setInterval(() => {}, 60_000)
}
