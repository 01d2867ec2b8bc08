/**
 * What each operation can fail with: the statuses, each a member of its own, and the other errors. The type checker
 * holds it.
 */
import type { Effect, Stream } from "effect"
import type {
  ApiError,
  AuthError,
  Forge,
  ForgeAdmin,
  ForgeClient,
  ForgeError,
  Session,
  SessionClosed,
  TransportError,
  Upload
} from "../../src/index.ts"
import type { Equal, Holds } from "./Expect.ts"

type ErrorOf<T> = T extends (...args: infer _Args) => Effect.Effect<infer _A, infer E, infer _R>
  ? E
  : T extends Effect.Effect<infer _A, infer E, infer _R>
    ? E
    : "no operation"

/** Whether these errors are one `ApiError` for each of the statuses, and the others. */
export type Are<E, S extends ForgeError.Status, Others> = Equal<E, ForgeError.ApiErrors<S> | Others>

type Fails<T, S extends ForgeError.Status, Others = Usual> = Are<ErrorOf<T>, S, Others>

/** The statuses that every call can get. */
export type Always = 400 | 429 | 500 | 503
export type Usual = AuthError | TransportError

type Client = ForgeClient.ForgeClient["Service"]
type Admin = ForgeAdmin.ForgeAdmin["Service"]

export type Operations = Holds<
  [
    Fails<typeof Forge.health, Always>,
    Fails<typeof Forge.session, Always | 413 | 422 | 502>,
    Fails<typeof Forge.attach, Always | 404 | 422>,
    Fails<typeof Forge.sessions, Always | 422>,
    Fails<typeof Forge.run, Always | 404 | 413 | 422 | 502>,
    Fails<Session.Session["turn"], Always | 404 | 410 | 413 | 422 | 502, Usual | SessionClosed>,
    Fails<Session.Session["cancel"], Always | 404 | 422>,
    Fails<Session.Session["state"], Always | 404 | 422>,
    Fails<Session.Session["close"], Always | 404 | 422>,
    Fails<Session.Session["closed"], never, never>,
    Fails<Admin["mint"], Always | 409 | 422>,
    Fails<Admin["list"], Always>,
    Fails<Admin["revoke"], Always | 404 | 422>
  ]
>

export type Service = Holds<
  [
    Fails<Client["health"], Always>,
    Fails<Client["session"], Always | 413 | 422 | 502>,
    Fails<Client["attach"], Always | 404 | 422>,
    Fails<Client["sessions"], Always | 422>,
    Fails<Client["run"], Always | 404 | 413 | 422 | 502>
  ]
>

declare const upload: typeof Forge.upload<"disk">
declare const source: Upload.Source<"disk">
declare const bytes: Stream.Stream<Uint8Array, "disk">
declare const withSession: typeof Forge.withSession<number, "own", never>

export type WithErrorsOfTheProgram = Holds<
  [
    Fails<typeof upload, Always | 413 | 422, Usual | "disk">,
    Equal<typeof source.content, typeof bytes>,
    Fails<typeof withSession, Always | 413 | 422 | 502, Usual | "own">
  ]
>

type Reason<S extends ForgeError.Status> = ApiError<S>["reason"]

export type Reasons = Holds<
  [
    Equal<Reason<400>, ForgeError.Unexpected>,
    Equal<Reason<404>, ForgeError.NotFound | ForgeError.Unexpected>,
    Equal<Reason<409>, ForgeError.TokenExists | ForgeError.Unexpected>,
    Equal<Reason<410>, ForgeError.Unexpected>,
    Equal<Reason<413>, ForgeError.TooLarge>,
    Equal<Reason<422>, ForgeError.Invalid>,
    Equal<Reason<429>, ForgeError.RateLimited>,
    Equal<Reason<500>, ForgeError.Unexpected>,
    Equal<Reason<502>, ForgeError.RunFailed | ForgeError.Unexpected>,
    Equal<
      Reason<503>,
      | ForgeError.PoolFull
      | ForgeError.TooManyRuns
      | ForgeError.ShuttingDown
      | ForgeError.StorageUnavailable
      | ForgeError.OtherServer
      | ForgeError.Unexpected
    >,
    Equal<TransportError["reason"], ForgeError.Connect | ForgeError.Reset | ForgeError.Timeout | ForgeError.Malformed>,
    Equal<AuthError["status"], 401 | 403>
  ]
>
