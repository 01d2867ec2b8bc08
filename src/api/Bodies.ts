/**
 * Bodies as the documentation shows them, where the server itself reads or writes something looser: the events of a turn,
 * and the form of an upload.
 */
import { Schema, String } from "effect"
import { kinds, lateWith } from "../wire/EventKinds.ts"
import * as Files from "../wire/Files.ts"
import * as Turns from "../wire/Turns.ts"

/** `tool_call` is `ToolCallEvent`. */
const nameOf = (type: string) => `${String.snakeToPascal(type)}Event`

/**
 * An event of a type that this version does not know. Where it has a `content`, a `name` or `args`, they are of the same
 * types as in the others.
 */
const OtherEvent = Schema.StructWithRest(
  Schema.Struct({
    type: Schema.String,
    content: Schema.optionalKey(Schema.String),
    name: Schema.optionalKey(Schema.String),
    args: Schema.optionalKey(Schema.Record(Schema.String, Schema.Unknown))
  }),
  [Schema.Record(Schema.String, Schema.Unknown)]
).annotate({ identifier: "OtherEvent" })

/** One event of a turn. Each may have more fields than these. */
export const TurnEvent = Schema.Union([
  ...Object.entries(kinds).map(([type, { from }]) => from.annotate({ identifier: nameOf(type) })),
  lateWith(OtherEvent).from.annotate({ identifier: "LateEvent" }),
  OtherEvent
]).annotate({ identifier: "TurnEvent" })

/** The answer to a turn. */
export const TurnAnswer = Schema.Struct({
  ok: Schema.Literal(true),
  ...Turns.fieldsWith(Schema.Array(TurnEvent))
})
  .pipe(Schema.encodeKeys(Turns.keys))
  .annotate({ identifier: "Turn" })

/** The form of an upload. */
export const UploadForm = Schema.Struct({
  [Files.filePart]: Schema.String.annotate({ format: "binary" }),
  [Files.ttlField]: Schema.optionalKey(Schema.Int.check(Schema.isBetween(Files.ttl)))
}).annotate({ identifier: "UploadForm" })
