/**
 * Logs why the database failed, for the requests that are answered with a 503 because of it.
 */
import { Effect, Layer } from "effect"
import { Storage } from "../../api/Middlewares.ts"
import * as StorageFailure from "../storage/StorageFailure.ts"

export const layer = Layer.succeed(
  Storage,
  Effect.tapError((error) => (StorageFailure.isUnavailable(error) ? StorageFailure.log(error) : Effect.void))
)
