/**
 * Maps a failure of the database to an error of the contract.
 *
 * `StorageUnavailable` means that nothing was done, and clients repeat the call. Once an agent was handed the work, the
 * outcome is unknown.
 */
import { type Cause, Effect, Schema } from "effect"
import type { SqlError } from "effect/sql"
import { RunFailed, StorageUnavailable } from "../../api/Errors.ts"

/** Fails with `StorageUnavailable` where the database fails. A row that cannot be decoded is a defect. */
export const orUnavailable = <A, R>(
  effect: Effect.Effect<A, SqlError.SqlError | Schema.SchemaError | Cause.NoSuchElementError, R>
): Effect.Effect<A, StorageUnavailable, R> =>
  Effect.catchTags(effect, {
    SqlError: (cause) => Effect.fail(StorageUnavailable.from(cause)),
    SchemaError: Effect.die,
    NoSuchElementError: Effect.die
  })

/** Whether an error is that of a database that failed. */
export const isUnavailable = Schema.is(StorageUnavailable)

/** Logs the failure of the database, which is no part of the answer. */
export const log = ({ cause }: StorageUnavailable) => Effect.logError("the storage is unavailable", cause)

/** Where what an agent did cannot be recorded, logs why, and fails with the 502 of an unknown outcome. */
export const orOutcomeUnknown = <A, R>(
  recording: Effect.Effect<A, StorageUnavailable, R>
): Effect.Effect<A, RunFailed, R> =>
  Effect.catch(recording, (error) => Effect.andThen(log(error), Effect.fail(RunFailed.unrecorded())))
