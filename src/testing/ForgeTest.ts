/**
 * A fake server for tests: the real client over a real server's own code, with a script in place of agents, and memory in
 * place of a machine. It needs no port and no Node, and its time is that of the test's clock.
 *
 * **Example** (A test of a program)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Forge } from "effect-clawdforge"
 * import { ForgeTest } from "effect-clawdforge/testing"
 *
 * const program = Forge.withSession({ agent: "claude" }, (session) => session.turn("What is six times seven?"))
 *
 * const test = program.pipe(
 *   Effect.map(({ text }) => text === "42"),
 *   Effect.provide(ForgeTest.layer(["42"]))
 * )
 * ```
 */
import { Context, Effect, Layer, Redacted, type Scope } from "effect"
import { HttpClient } from "effect/http"
import * as ForgeClient from "../ForgeClient.ts"
import type { SessionId, SessionState } from "../SessionInfo.ts"
import { toState } from "../server/storage/Ledger.ts"
import type { FakeAgent } from "./Agents.ts"
import * as Counter from "./Counter.ts"
import * as FakeHttp from "./FakeHttp.ts"
import * as MemoryServer from "./memory/MemoryServer.ts"
import type { FakeWorkspace } from "./memory/MemoryWorkspaces.ts"
import * as Store from "./memory/Store.ts"
import * as OldServer from "./OldServer.ts"
import * as Script from "./Script.ts"
import type { Prompt } from "./ScriptedCalls.ts"

export type { FakeAgent } from "./Agents.ts"
export type { FakeWorkspace } from "./memory/MemoryWorkspaces.ts"
export type { Request, RequestFailure } from "./FakeHttp.ts"
export type { Feature } from "../wire/Features.ts"
export type { AnswerOptions, FailureOptions, Reply } from "./Reply.ts"
export {
  events,
  hang,
  invalid,
  json,
  notFound,
  poolFull,
  proxy,
  reset,
  resetAt,
  runFailed,
  sessionClosed,
  shuttingDown,
  status,
  text,
  tooMany,
  unauthorized
} from "./Reply.ts"
export { layer as record, type RecordOptions } from "./Recorder.ts"
export { RecordingError } from "./Recording.ts"
export { layer as replay, type ReplayOptions } from "./Replayer.ts"
export type { Asked, Context as ScriptContext, File, Past, Said, Script } from "./Script.ts"
export type { Prompt } from "./ScriptedCalls.ts"

/** Which requests a planned failure is for. */
export interface Matching {
  readonly method?: string | undefined
  /** A part of the path, such as `/sessions` or `/files`. */
  readonly path?: string | undefined
}

/** What a test sees of the fake. */
export class ForgeTest extends Context.Service<
  ForgeTest,
  {
    /** All requests so far. */
    readonly requests: Effect.Effect<ReadonlyArray<FakeHttp.Request>>
    /** All prompts so far that were handed to agents, those of runs included. */
    readonly prompts: Effect.Effect<ReadonlyArray<Prompt>>
    /** Waits until agents work on so many prompts or have done so, before a test moves its clock for one. */
    readonly awaitPrompts: (count: number) => Effect.Effect<ReadonlyArray<Prompt>>
    /** Waits for so many requests, those that no agent gets a prompt of included: of `hang` there is nothing else to wait for. */
    readonly awaitRequests: (count: number) => Effect.Effect<ReadonlyArray<FakeHttp.Request>>
    /** All sessions, closed ones too, oldest first. */
    readonly sessions: Effect.Effect<ReadonlyArray<SessionState>>
    /** Fails the next request that matches, any if not given: the call of any operation, not of turns alone. */
    readonly failNext: (failure: FakeHttp.RequestFailure, matching?: Matching) => Effect.Effect<void>
    /** Closes a session as the server does for one that has been idle. */
    readonly closeSession: (sessionId: SessionId) => Effect.Effect<void>
    /** The URL that reaches it. */
    readonly url: string
    /** The token of its client. */
    readonly token: Redacted.Redacted
  }
>()("effect-clawdforge/testing/ForgeTest") {}

/** The server's limits and times, and what else it is. */
export interface Options extends MemoryServer.Limits, OldServer.Options {
  /** Its agents: `claude` and `demo` if not given. */
  readonly agents?: ReadonlyArray<string | FakeAgent> | undefined
  /** Its workspaces; none if not given. */
  readonly workspaces?: ReadonlyArray<FakeWorkspace> | undefined
  /** The token of its administration, which it has not if not given. */
  readonly adminToken?: Redacted.Redacted | undefined
}

const url = "http://forge.test"

const agentOf = (agent: string | FakeAgent): FakeAgent => (typeof agent === "string" ? { name: agent } : agent)

/** The fake as an `HttpClient`, and what a test sees of it. */
export const make = Effect.fnUntraced(function* (
  script: Script.Script,
  options: Options = {}
): Effect.fn.Return<
  { readonly http: HttpClient.HttpClient; readonly forge: ForgeTest["Service"] },
  never,
  Scope.Scope
> {
  const { adminToken, agents = ["claude", "demo"], workspaces = [] } = options
  const store = Store.make()
  const prompts: Array<Prompt> = []
  const requests: Array<FakeHttp.Request> = []
  const planned: Array<FakeHttp.Planned> = []
  const handed = yield* Counter.make
  const asked = yield* Counter.make
  const isOld = OldServer.isOld(options)
  const { client, close, sweep, token } = yield* MemoryServer.make({
    // A call of an older server outlives its connection.
    keyedCallLinger: isOld ? "1 hour" : undefined,
    ...options,
    store,
    adminToken,
    workspaces,
    handed,
    prompts,
    choose: Script.make(script),
    agents: agents.map(agentOf)
  })

  const server = isOld ? OldServer.make(client, options) : client

  return {
    http: FakeHttp.make({ server, requests, planned, asked }),
    forge: ForgeTest.of({
      requests: Effect.sync(() => [...requests]),
      prompts: Effect.sync(() => [...prompts]),
      awaitPrompts: (count) => Effect.map(Counter.reach(handed, count), () => [...prompts]),
      awaitRequests: (count) => Effect.map(Counter.reach(asked, count), () => [...requests]),
      sessions: Effect.map(sweep, () => [...store.sessions.values()].map(({ session }) => toState(session))),
      failNext: (failure, { method, path } = {}) =>
        Effect.sync(() => {
          planned.push({
            failure,
            matches: (request) =>
              (method === undefined || request.method === method) && (path === undefined || request.path.includes(path))
          })
        }),
      closeSession: close,
      url,
      token
    })
  }
})

/** The fake as an `HttpClient`, for programs that make their client themselves. */
export const layerHttpClient = (
  script: Script.Script,
  options?: Options
): Layer.Layer<HttpClient.HttpClient | ForgeTest> =>
  Layer.effectContext(
    Effect.map(make(script, options), ({ forge, http }) =>
      Context.make(HttpClient.HttpClient, http).pipe(Context.add(ForgeTest, forge))
    )
  )

/** The client's options, less those that the fake has. */
export interface ClientOptions extends Omit<ForgeClient.Options, "token" | "url"> {}

/**
 * A client of a fake server.
 *
 * A list of replies is played to each session anew, and to all runs together. Of the client's own behaviour nothing is
 * faked: retries, timeouts and the order of turns are the real ones.
 */
export const layer = (
  script: Script.Script,
  options: Options & { readonly client?: ClientOptions | undefined } = {}
): Layer.Layer<ForgeClient.ForgeClient | ForgeTest> =>
  Layer.effectContext(
    Effect.gen(function* () {
      const { forge, http } = yield* make(script, options)
      const client = yield* ForgeClient.make({ ...options.client, token: forge.token, url: forge.url }).pipe(
        // A program may have another `HttpClient`.
        Effect.provideService(HttpClient.HttpClient, http),
        Effect.orDie
      )
      return Context.make(ForgeClient.ForgeClient, client).pipe(Context.add(ForgeTest, forge))
    })
  )
