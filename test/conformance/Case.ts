/**
 * A sentence of the contract, and the test for it.
 */
import type { Effect, Scope } from "effect"
import type { App, Server } from "./Server.ts"

/**
 * What a case needs of a server besides the contract itself:
 *
 * - `admin`: the admin token; with it each case has its own app
 * - `socket`: that it listens somewhere, so that a case can write its bytes itself
 * - `here`: that it is in this process, so that what it starts can be counted
 * - `demo`: the demo agent, which does what its prompt says
 * - `claude`: that sessions can be opened with the agent `claude`
 * - `broken`: an agent that cannot start
 * - `mcp`: that it allows MCP servers of the host `mcp.test`
 * - `repository`: the workspaces `repository`, a git repository, and `board`, a folder that may be shared
 * - `small`: that its bounds are low enough to be reached
 * - `ours`: that it names what it adds, so the decisions of our contract bind it
 * - a feature: that it names this one
 */
export type Need =
  | "admin"
  | "socket"
  | "here"
  | "demo"
  | "claude"
  | "broken"
  | "mcp"
  | "repository"
  | "small"
  | "ours"
  | `feature ${string}`

export interface Case {
  /** The sentence. */
  readonly title: string
  readonly needs?: ReadonlyArray<Need>
  /** Whether it reaches bounds that all cases share, so that it has to run alone. */
  readonly alone?: boolean
  readonly test: Effect.Effect<void, unknown, App | Server | Scope.Scope>
}

/** The cases of one part of the contract. */
export interface Group {
  readonly name: string
  readonly cases: ReadonlyArray<Case>
}
