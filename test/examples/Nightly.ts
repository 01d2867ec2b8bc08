/**
 * A cron job: an agent writes a report every night. A night on which it fails does not keep the next one from its report.
 */
import { Effect, Schedule } from "effect"
import { Forge } from "../../src/index.ts"

const report = Forge.run("Summarise the issues that were opened today.", { timeout: "10 minutes" }).pipe(
  Effect.flatMap(({ result }) => Effect.logInfo("report", result)),
  Effect.catch((error) => Effect.logError(`no report tonight: ${error.message}`))
)

/** Runs for ever, at three in the morning. */
export const nightly = Effect.schedule(report, Schedule.cron("0 3 * * *", "Europe/Berlin"))
