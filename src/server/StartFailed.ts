/**
 * Why a server could not start.
 */
import { Data } from "effect"

/** The server could not start; the message is one sentence for whoever started it. */
export class StartFailed extends Data.TaggedError("StartFailed")<{
  readonly message: string
  readonly cause?: unknown
}> {}
