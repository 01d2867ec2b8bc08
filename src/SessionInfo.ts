/**
 * A session's id, the options that it is opened with, and its state on the server.
 *
 * Times are `DateTime.Utc`, to the second, as the server has them.
 *
 * **Example** (Coming back to a session by an id that was kept)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Forge, SessionInfo } from "effect-clawdforge"
 *
 * const ask = Effect.fn("ask")(function* (kept: string, prompt: string) {
 *   const session = yield* Forge.attach(SessionInfo.sessionId(kept))
 *   const { live, turnCount } = yield* session.state
 *   return live && turnCount > 0 ? (yield* session.turn(prompt)).text : undefined
 * })
 * ```
 */
import { Brand, type Schema } from "effect"
import type { SessionId } from "./wire/Ids.ts"
import type { McpServer } from "./wire/McpServers.ts"
import * as Wire from "./wire/Sessions.ts"

export { SessionId } from "./wire/Ids.ts"
export type { McpServer } from "./wire/McpServers.ts"
export type { LiveStateEncoded, SessionInfoEncoded, SessionStateEncoded } from "./wire/Sessions.ts"

/** A session as it was created. */
export type SessionInfo = Wire.SessionInfo

/** The codec of a session as it was created. */
export const SessionInfo: Schema.Codec<SessionInfo, Wire.SessionInfoEncoded> = Wire.sessionInfo

/** A session as the server sees it now. */
export type SessionState = Wire.SessionState

/** The codec of a session's state. */
export const SessionState: Schema.Codec<SessionState, Wire.SessionStateEncoded> = Wire.sessionState

/** The state of one session, which also says whether it can take a turn. */
export type LiveState = Wire.LiveState

/** The codec of the state of one session. */
export const LiveState: Schema.Codec<LiveState, Wire.LiveStateEncoded> = Wire.liveState

/** An id from its text, unchecked: a text that is none is refused where it is used. The codec `SessionId` checks. */
export const sessionId = Brand.nominal<SessionId>()

/** Which sessions a list has. */
export interface SessionFilter {
  /** Whether closed sessions are listed too: true by default. */
  readonly includeClosed?: boolean | undefined
  /** Only sessions whose `meta` has these strings at its top level. */
  readonly meta?: { readonly [name: string]: string } | undefined
}

/** Which sessions a list has, and how many. */
export interface ListOptions extends SessionFilter {
  /** The most sessions: 1,000 by default. */
  readonly limit?: number | undefined
}

/** Which workspace a session works in, and how. */
export interface Workspace {
  readonly name: string
  /**
   * `clone`, the default for a git repository: a clone of its own, with refs, configuration and hooks of its own, detached at
   * `ref`. `copy`, the default for any other folder: a copy of its own. `shared`: the folder itself, which the operator has to
   * have allowed; other sessions work in it too.
   */
  readonly mode?: "clone" | "copy" | "shared" | undefined
  /** Of a clone, the branch, tag or commit that it is of; what the repository has checked out if not given. */
  readonly ref?: string | undefined
}

/** How a session is opened. */
export interface SessionOptions {
  /**
   * The idempotency key of the opening: 1 to 255 visible ASCII characters. On a server that keeps keys, the same key and
   * options give the same session, also to another process, until it is closed.
   */
  readonly key?: string | undefined
  /**
   * The agent, by its name in the server's table: `claude` by default, and the server's default where it names `agents` and has
   * no `claude`. One that is not there is `ApiError<422>`.
   */
  readonly agent?: string | undefined
  /** The model, as the agent knows it; the agent's own default without. */
  readonly model?: string | undefined
  /**
   * A system prompt. This one and the next two are for servers that name `session_options`; any other is not asked, and
   * it is `ApiError<422>`. An agent that has no way to set them is the same.
   */
  readonly system?: string | undefined
  /** Whether it is appended to the agent's own system prompt, or replaces it: `append` by default. */
  readonly systemMode?: "append" | "replace" | undefined
  /** How hard the model is to think. */
  readonly effort?: "low" | "medium" | "high" | "xhigh" | "max" | undefined
  /**
   * A folder of the server's machine, by the name that its operator gave it, for servers that name `workspaces`; any other is
   * not asked, and it is `ApiError<422>`. Without one the session works in an empty folder. Either way the folder is its own,
   * and goes when it closes.
   */
  readonly workspace?: Workspace | undefined
  /**
   * MCP servers for the agent to call, of hosts that the server's operator allows, for servers that name `mcp_servers`; any
   * other is not asked, and it is `ApiError<422>`. The server keeps them sealed for as long as the session is open.
   */
  readonly mcpServers?: ReadonlyArray<McpServer> | undefined
  /** A JSON object of your own, which the server keeps with the session: 16 KiB at most on our server. */
  readonly meta?: { readonly [key: string]: Schema.Json } | undefined
}
