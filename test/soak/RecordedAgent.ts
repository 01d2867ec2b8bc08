/**
 * The demo agent, which also writes all that it is sent to the file that `SENT` names.
 */
import { appendFileSync } from "node:fs"

const file = process.env["SENT"] ?? ""

await import("../../src/agent/demo/Main.ts")
// Before the agent reads it, since what it reads may be that it shall exit.
process.stdin.prependListener("data", (text) => appendFileSync(file, text))
