/**
 * The codec of the events of a turn, in their normalised form alone. Reading all that servers send is the work of
 * `EventDecoder`.
 */
import { Schema, SchemaGetter, Struct } from "effect"
import { fieldNames, type Kind, kinds, lateWith, rest } from "./EventKinds.ts"
import type { TurnEvent, TurnEventEncoded } from "./TurnEvent.ts"

const renamer = (names: ReadonlyArray<readonly [from: string, to: string]>) => {
  const rename = Struct.renameKeys(Object.fromEntries(names))
  // Boundary: of the type checker, which does not follow names that are computed.
  return (fields: object) => rename(fields) as never
}

const late = lateWith(Schema.suspend((): Schema.Codec<TurnEvent, TurnEventEncoded> => turnEvent))

/** One kind, with all that was added to the event. */
const open = (kind: Kind | typeof late) => {
  const names = fieldNames(kind)
  return Schema.StructWithRest(kind.from, rest).pipe(
    Schema.decodeTo(Schema.StructWithRest(kind.to, rest), {
      decode: SchemaGetter.transform(renamer(names)),
      encode: SchemaGetter.transform(renamer(names.map(([wire, memory]) => [memory, wire])))
    })
  )
}

/** The codec of any event: what was encoded decodes to the same event, with the fields that a server added to it. */
export const turnEvent: Schema.Codec<TurnEvent, TurnEventEncoded> = Schema.Union(
  [...Object.values(kinds), late].map(open)
)
