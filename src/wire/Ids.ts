/**
 * The names and units of the wire: ids, tokens, names, unix seconds, milliseconds.
 *
 * The patterns have the flag `u`: only those become patterns of a JSON Schema.
 */
import { Brand, DateTime, Duration, Effect, Option, Redacted, Schema, SchemaGetter } from "effect"

/** The server's id of a session: 1 to 128 letters, digits, `_` or `-`. It is no secret. */
export type SessionId = Brand.Branded<string, "SessionId">

export const SessionId = Schema.String.check(
  Schema.isPattern(/^[A-Za-z0-9_-]{1,128}$/u, { message: "must be 1 to 128 letters, digits, _ or -" })
).pipe(Schema.brand("SessionId"))

// `Schema.Redacted` would add half a kilobyte to a client in a browser.
export const RedactedText = Schema.declare((value): value is Redacted.Redacted => Redacted.isRedacted(value), {
  expected: "Redacted"
})

/** Text on the wire that is a secret in memory. It prints as its label, and only encoding reveals it. */
export const secret = <S extends Schema.Codec<string>>(text: S, label: string) =>
  text.pipe(
    Schema.decodeTo(RedactedText, {
      decode: SchemaGetter.transform((text: string) => Redacted.make(text, { label })),
      encode: SchemaGetter.transform((secret: Redacted.Redacted) => Redacted.value(secret))
    })
  )

/** A file token as text. */
export const FileTokenText = Schema.String.check(
  Schema.isPattern(/^ff_[A-Za-z0-9_-]{1,128}$/u, { message: "must be a file token, ff_…" })
)

/** Names an uploaded file. It is a secret: who has it can attach the file. It prints as `<redacted>`. */
export type FileToken = Redacted.Redacted & Brand.Brand<"FileToken">

const brandFileToken = Brand.nominal<FileToken>()

/** A file token from its text, `ff_…`, unchecked: a text that is none is refused where it is used. */
export const fileToken = (text: string): FileToken => brandFileToken(Redacted.make(text, { label: "file token" }))

export const FileToken: Schema.Codec<FileToken, string> = secret(FileTokenText, "file token").pipe(
  Schema.brand("FileToken")
)

/** The name of an agent in the server's table. */
export const AgentName = Schema.String.check(
  Schema.isPattern(/^[a-zA-Z0-9_-]{1,64}$/u, { message: "must be 1 to 64 letters, digits, _ or -" })
)

/** The name of a model, as the agent knows it. */
export const ModelName = Schema.String.check(
  Schema.isPattern(/^[a-zA-Z0-9][a-zA-Z0-9._:/[\]-]{0,127}$/u, {
    message: "must be 1 to 128 letters, digits or any of ._:/[]-, the first a letter or digit"
  })
)

/** The name of an app token. */
export const TokenName = Schema.String.check(
  Schema.isPattern(/^[a-z0-9_-]{1,64}$/u, { message: "must be 1 to 64 lower-case letters, digits, _ or -" })
)

/** The key of a call: the server runs it once, and a cancel with the key cancels no other. */
export const IdempotencyKey = Schema.String.check(
  Schema.isPattern(/^[\x21-\x7e]{1,255}$/u, { message: "must be 1 to 255 visible ASCII characters" })
)

/** Text with at least one character that is not white space. */
export const NotBlank = Schema.String.check(Schema.isPattern(/\S/u, { message: "must not be empty" }))

/** The last second that a date can have, on either side of 1970 (ECMA-262, section 21.4.1.1). */
const lastSecond = 8.64e12

/** Whole seconds since 1970 on the wire, a `DateTime.Utc` in memory. */
export const UnixSeconds = Schema.Int.check(Schema.isBetween({ minimum: -lastSecond, maximum: lastSecond })).pipe(
  Schema.decodeTo(Schema.DateTimeUtc, {
    decode: SchemaGetter.transform((seconds: number) => DateTime.makeUnsafe(seconds * 1000)),
    encode: SchemaGetter.transform((at: DateTime.Utc) => Math.floor(DateTime.toEpochMillis(at) / 1000))
  })
)

/** Whole milliseconds on the wire, a `Duration` in memory. */
export const Millis = Schema.Finite.pipe(
  Schema.decodeTo(Schema.Duration, {
    // Rounded both ways, so that what was decoded encodes to itself.
    decode: SchemaGetter.transform((millis: number) => Duration.millis(Math.max(0, Math.round(millis)))),
    encode: SchemaGetter.transform((span: Duration.Duration) => Math.round(Duration.toMillis(span)))
  })
)

/** The message for a value that is not a span of time. */
export const durationMessage = 'must be a span of time, "2 minutes" for one, and not negative'

/** A span of time with an end. */
export const FiniteDuration = Schema.Duration.check(Schema.makeFilter(Duration.isFinite, { message: durationMessage }))

/** A whole number, however large: beyond 2^53 its last digits are lost, but it is still whole. */
const Whole = Schema.Finite.check(
  Schema.makeFilter(Number.isInteger, {
    expected: "an integer",
    toJsonSchema: () => ({ type: "integer" })
  })
)

/** Whole seconds on the wire, rounded up; a `Duration` in memory, no longer than a date can reach. */
export const Seconds = Whole.pipe(
  Schema.decodeTo(FiniteDuration, {
    decode: SchemaGetter.transform((seconds: number) => Duration.seconds(Math.min(Math.max(0, seconds), lastSecond))),
    encode: SchemaGetter.transform((span: Duration.Duration) => Math.ceil(Duration.toSeconds(span)))
  })
)

/** How long a call with a key goes on when it has no reader: whole seconds that are not negative. */
export const Linger = Whole.check(Schema.isGreaterThanOrEqualTo(0, { message: "must not be negative" })).pipe(
  Schema.decodeTo(Seconds)
)

/** A field that a peer may leave out or send as null; absent in memory where it does. */
export const nullable = <S extends Schema.Constraint>(schema: S) => Schema.optionalKey(Schema.NullOr(schema))

/** A field that is `null` in memory where the peer sent null or nothing. */
export const orNull = <S extends Schema.Constraint>(schema: S) =>
  Schema.NullOr(schema).pipe(Schema.withDecodingDefaultKey(Effect.succeed(null)))

/** A field that is absent in memory where the peer sent null or nothing. It is encoded as null, as the contract has it. */
export const absent = <S extends Schema.Constraint>(schema: S) =>
  Schema.optionalKey(Schema.NullOr(schema)).pipe(
    Schema.decodeTo(Schema.optional(Schema.toType(schema)), {
      decode: SchemaGetter.transformOptional(Option.filter((value) => value !== null)),
      encode: SchemaGetter.transformOptional((value) => Option.some(Option.getOrNull(value) ?? null))
    })
  )

/**
 * A struct whose fields have other names on the wire. As a call that is marked pure, bundlers drop it where it is not
 * used.
 */
export const renamed = <
  const Fields extends Schema.Struct.Fields,
  const Names extends { readonly [K in keyof Fields]?: PropertyKey }
>(
  fields: Fields,
  names: Names
) => Schema.Struct(fields).pipe(Schema.encodeKeys(names))
