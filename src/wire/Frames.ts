/**
 * Event streams: the frame in place of those that are gone, and the header by which a reader resumes.
 */
import { Schema, SchemaGetter } from "effect"

/** The data of `event: gap`: frames that are not there any more. */
export const Gap = Schema.Struct({
  /** The number of the last frame before the gap. */
  after: Schema.Int,
  /** The number of the first frame after it, null where none follows. */
  next: Schema.NullOr(Schema.Int)
})
export type Gap = typeof Gap.Type

/** The header with the number of the last frame that a reader has had. */
export const lastEventId = "last-event-id"

/** The value of that header. */
export const LastEventId = Schema.String.check(
  Schema.isPattern(/^\d+$/u, { message: "must be the number of a frame, a whole number" })
).pipe(
  Schema.decodeTo(Schema.Int, {
    // No stream has so many frames.
    decode: SchemaGetter.transform((digits: string) => Math.min(Number(digits), Number.MAX_SAFE_INTEGER)),
    encode: SchemaGetter.transform(String)
  })
)
