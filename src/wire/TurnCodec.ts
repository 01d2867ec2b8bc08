/**
 * The codec of a whole turn, as it is stored and sent on.
 */
import { Option, Schema, Struct } from "effect"
import { text } from "./TurnEvent.ts"
import { turnEvent } from "./TurnEventCodec.ts"
import { fieldsWith, keys, type Turn } from "./Turns.ts"

const parts = Schema.Struct(fieldsWith(Schema.Array(turnEvent)))

/** Its text is in its events, so it is not encoded: a stored turn cannot contradict itself. */
const turnStruct = parts.pipe(
  Schema.encodeKeys(keys),
  Schema.decodeTo(
    parts
      .mapFields(Struct.map(Schema.toType))
      .pipe(Schema.extendTo({ text: Schema.String }, { text: ({ events }) => Option.some(text(events)) }))
  )
)

/** As the wire has it, without `ok`. */
export interface TurnEncoded extends Schema.Codec.Encoded<typeof turnStruct> {}

export const turn: Schema.Codec<Turn, TurnEncoded> = turnStruct
