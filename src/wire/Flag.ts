/**
 * A boolean in a query.
 */
import { Schema, SchemaGetter } from "effect"

/** The words that servers of this contract accept (pydantic's), in upper or lower case. */
const words = /^(1|true|t|yes|y|on|0|false|f|no|n|off)$/i

export const Flag = Schema.String.check(Schema.isPattern(words, { message: "must be true or false" })).pipe(
  Schema.decodeTo(Schema.Boolean, {
    decode: SchemaGetter.transform((word: string) => /^(1|t|y|on)/i.test(word)),
    encode: SchemaGetter.transform(String)
  })
)
