/**
 * The demo agent, which also appends all messages that it receives to the file that `SENT` names. Every second process
 * keeps running when its input ends, so that it has to be killed, and every third turn leaves behind a long-running process
 * in another process group.
 */
import { spawn } from "node:child_process"
import { appendFileSync } from "node:fs"

const file = process.env["SENT"] ?? ""
// Starts at the pid, since most processes only take a few turns.
let turns = process.pid

await import("../../src/agent/demo/Main.ts")
// Prepended, since the agent may exit when it reads the message.
process.stdin.prependListener("data", (text) => {
  appendFileSync(file, text)
  if (String(text).includes('"session/prompt"') && ++turns % 3 === 0)
    spawn("sleep", ["3600"], { detached: true, stdio: "ignore" }).unref()
})
if (process.pid % 2 === 0) {
  process.stdin.removeAllListeners("end")
  setInterval(() => {}, 60_000)
}
