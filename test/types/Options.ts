/**
 * Options take `undefined` for what is not given, and what goes in and comes out is of the public types.
 */
import type { Effect, Redacted, Scope } from "effect"
import type * as Wire from "../../src/wire/TurnEvent.ts"
import type {
  AppToken,
  Forge,
  ForgeClient,
  RetryPolicy,
  Run,
  SessionInfo,
  Turn,
  TurnEvent,
  Upload
} from "../../src/index.ts"
import type { Equal, Holds } from "./Expect.ts"

/** Whether every field of an options object can be left out, and can be `undefined`. */
type Lenient<O> = { readonly [K in keyof O]: undefined } extends O ? (object extends O ? true : false) : false

export type TakeUndefined = Holds<
  [
    Lenient<SessionInfo.SessionOptions>,
    Lenient<Turn.TurnOptions>,
    Lenient<Run.RunOptions>,
    Lenient<Upload.UploadOptions>,
    Lenient<ForgeClient.ListOptions>,
    Lenient<RetryPolicy.RetryPolicy>,
    Lenient<Omit<ForgeClient.Options, "token">>,
    Lenient<AppToken.MintOptions>,
    Equal<ForgeClient.Options["token"], Redacted.Redacted>
  ]
>

// What a program needs to run.
type Needs<F> = F extends (...args: infer _Args) => Effect.Effect<infer _A, infer _E, infer R> ? R : never

export type NeedTheClient = Holds<
  [
    Equal<Needs<typeof Forge.session>, ForgeClient.ForgeClient | Scope.Scope>,
    Equal<Needs<typeof Forge.run>, ForgeClient.ForgeClient>
  ]
>

// An id and a file token cannot be taken for any other text.
export type AreNoOtherText = Holds<
  [
    string extends SessionInfo.SessionId ? false : true,
    Redacted.Redacted extends Upload.FileToken ? false : true,
    Equal<Upload.UploadedFile["token"], Upload.FileToken>,
    Equal<AppToken.MintedToken["token"], Redacted.Redacted>
  ]
>

/** A type whose optional fields are only ever left out, as a decoder leaves them. */
type Exact<T> = { readonly [K in keyof T]: Exclude<T[K], undefined> }
type OfPublic<Tag extends TurnEvent.TurnEvent["_tag"]> = Exact<Extract<TurnEvent.TurnEvent, { readonly _tag: Tag }>>
type OfWire<Tag extends TurnEvent.TurnEvent["_tag"]> = Exact<Extract<Wire.TurnEvent, { readonly _tag: Tag }>>
type Same = {
  [Tag in TurnEvent.TurnEvent["_tag"]]: Equal<[OfPublic<Tag>, keyof OfPublic<Tag>], [OfWire<Tag>, keyof OfWire<Tag>]>
}

// The events of the contract are the public ones, kind by kind and field by field.
export type AreThoseOfTheContract = Holds<
  [
    Equal<TurnEvent.TurnEvent["_tag"], Wire.TurnEvent["_tag"]>,
    Wire.TurnEvent extends TurnEvent.TurnEvent ? true : false,
    Equal<Same[keyof Same], true>
  ]
>
