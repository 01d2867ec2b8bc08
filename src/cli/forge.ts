#!/usr/bin/env node
/**
 * The entry point of the `forge` command.
 *
 * Everything but the check of the version is loaded afterwards: the imports of the rest fail on an older Node, with a stack
 * trace.
 */
import { problemOf } from "./NodeVersion.ts"

const problem = problemOf(process.versions.node)
const [command, ...rest] = process.argv.slice(2)

if (problem !== undefined) {
  // boundary: Effect cannot be loaded here.
  console.error(`forge: ${problem}`)
  process.exitCode = 2
} else {
  if (command === "demo" && !rest.includes("--help") && !rest.includes("-h")) {
    // boundary: Effect and the server take a second to load, and more on a busy machine.
    console.error("starting a local server and an agent…")
  }
  // boundary: a static import would come before the check.
  await import("./Main.ts")
}
