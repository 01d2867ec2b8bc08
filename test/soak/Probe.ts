/**
 * Preloaded into the server under test: on SIGUSR2 it collects garbage, and writes the heap size and the numbers of
 * handles and timers to the file that `PROBE` names.
 */
import { renameSync, writeFileSync } from "node:fs"
import { setTimeout as pause } from "node:timers/promises"

const file = process.env["PROBE"] ?? ""

const writeProbe = async () => {
  // Several rounds, since objects released by finalizers are only collected in the next one. This kind of collection also
  // returns retained memory to the system, of which there is more on a busy machine.
  for (let round = 0; round < 4; round++) {
    await globalThis.gc?.({ type: "major", flavor: "last-resort", execution: "async" })
    await pause(20)
  }
  const { external, heapUsed } = process.memoryUsage()
  const resources = process.getActiveResourcesInfo()
  const timers = resources.filter((name) => name === "Timeout").length
  writeFileSync(
    `${file}.new`,
    JSON.stringify({ heap: heapUsed + external, handles: resources.length - timers, timers })
  )
  renameSync(`${file}.new`, file)
}

process.on("SIGUSR2", () => void writeProbe())
