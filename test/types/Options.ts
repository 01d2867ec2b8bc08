/**
 * Options accept `undefined` for an absent field, and data has the public types.
 */
import type { Effect, Redacted, Schema, Scope } from "effect"
import type { kinds, lateWith } from "../../src/wire/EventKinds.ts"
import type * as Files from "../../src/wire/Files.ts"
import type * as Runs from "../../src/wire/Runs.ts"
import type * as Sessions from "../../src/wire/Sessions.ts"
import type * as Tokens from "../../src/wire/Tokens.ts"
import type * as Turns from "../../src/wire/Turns.ts"
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
    Lenient<SessionInfo.ListOptions>,
    Lenient<RetryPolicy.RetryPolicy>,
    Lenient<Omit<ForgeClient.Options, "token">>,
    Lenient<AppToken.MintOptions>,
    Equal<ForgeClient.Options["token"], Redacted.Redacted>
  ]
>

// The requirements of an operation.
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

// A codec's own type is the public one, field by field: its annotation alone would let a field be missing.
type SameFields<A, B> = Equal<[Required<A>, keyof A], [Required<B>, keyof B]>
type Late = ReturnType<typeof lateWith<Schema.Codec<TurnEvent.TurnEvent>>>["Type"]
type KindOf<Tag> = Extract<(typeof kinds)[keyof typeof kinds]["Type"] | Late, { readonly _tag: Tag }>

export type AreThoseOfTheCodecs = Holds<
  [
    Equal<
      {
        [Tag in TurnEvent.TurnEvent["_tag"]]: SameFields<
          Extract<TurnEvent.TurnEvent, { readonly _tag: Tag }>,
          KindOf<Tag>
        >
      }[TurnEvent.TurnEvent["_tag"]],
      true
    >,
    SameFields<Omit<Turn.Turn, "text" | "events">, Omit<Turns.TurnResponse, "ok" | "events">>,
    SameFields<Run.Run, Omit<Runs.RunResponse, "ok">>,
    SameFields<SessionInfo.SessionInfo, Omit<Sessions.Created, "ok">>,
    SameFields<SessionInfo.LiveState, Omit<Sessions.State, "ok">>,
    SameFields<AppToken.MintedToken, Omit<Tokens.Minted, "ok">>,
    SameFields<Upload.UploadedFile, Omit<Files.Uploaded, "ok">>
  ]
>
