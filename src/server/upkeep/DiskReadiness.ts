/**
 * A server is ready while it is not shutting down, its ledger can be written and its disk has space.
 */
import { ByteSize, Effect, Layer } from "effect"
import { statfs } from "node:fs/promises"
import { NotReady } from "../../api/Errors.ts"
import { sentences } from "../../wire/Failures.ts"
import { DataFolder } from "../storage/DataFolder.ts"
import { Ledger } from "../storage/Ledger.ts"
import { Shutdown } from "../Shutdown.ts"
import { Readiness } from "./Readiness.ts"

export interface Options {
  /** The least free space on the disk of the data folder; 100 MB if not given. */
  readonly minFreeDisk?: ByteSize.ByteSize | undefined
}

/** How long a check waits for a locked ledger, less than the calls do: load balancers give up on a check soon. */
const probeLimit = "1 second"

const notReady = (detail: string) => () => new NotReady({ detail })

export const make = Effect.fnUntraced(function* (options: Options) {
  const folder = yield* DataFolder
  const ledger = yield* Ledger
  const shutdown = yield* Shutdown
  const minFree = ByteSize.toNumberUnsafe(options.minFreeDisk ?? ByteSize.megabytes(100))

  const freeDisk = Effect.tryPromise({
    try: () => statfs(folder.ledger),
    catch: notReady("the free disk space cannot be read")
  }).pipe(Effect.map(({ bavail, bsize }) => bavail * bsize))

  const check = Effect.gen(function* () {
    if (yield* shutdown.isUnderWay) return yield* notReady(sentences.shuttingDown)()
    const unwritable = notReady("the ledger cannot be written")
    yield* Effect.mapError(ledger.probe, unwritable).pipe(
      Effect.timeoutOrElse({ duration: probeLimit, orElse: () => Effect.fail(unwritable()) })
    )
    if ((yield* freeDisk) < minFree) return yield* notReady("the disk is full")()
  })
  return Readiness.of({ check })
})

export const layer = (options: Options) => Layer.effect(Readiness, make(options))
