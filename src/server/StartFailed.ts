/**
 * Why a server could not start.
 */
import { Data } from "effect"

/** The server could not start. The message is one sentence for the operator. */
export class StartFailed extends Data.TaggedError("StartFailed")<{
  readonly message: string
  readonly cause?: unknown
}> {}
