/**
 * Loaded before a server that is watched: at SIGUSR2 it collects what nobody holds any more, and writes down what is left
 * to the file that `PROBE` names.
 */
import { renameSync, writeFileSync } from "node:fs"
import { setTimeout as pause } from "node:timers/promises"

const file = process.env["PROBE"] ?? ""

const look = async () => {
  // What a finalizer lets go of is only gone after the next collection. This kind also gives back the memory that is only
  // kept to be used again, which is the more the busier the machine is.
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

process.on("SIGUSR2", () => void look())
