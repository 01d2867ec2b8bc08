/**
 * An agent as the server sees it: its definition, its session, its turns and its failures.
 */
import { Data, type Duration, type Effect, type Redacted, type Stream } from "effect"
import type { TurnEvent } from "../wire/TurnEvent.ts"
import type { Usage } from "../wire/Usage.ts"

/** One row of the agents table: how to start the agent, and what it may see and do. */
export interface AgentDefinition {
  readonly name: string
  /** An argv; no shell interprets it. */
  readonly command: readonly [string, ...ReadonlyArray<string>]
  /** An argv that the command is appended to, to confine the agent: bwrap, setpriv or a container. */
  readonly wrap?: readonly [string, ...ReadonlyArray<string>] | undefined
  /** Environment variables set for this agent. */
  readonly env?: Readonly<Record<string, string>> | undefined
  /**
   * Names of the server's environment variables to pass on, in addition to PATH, HOME, USER, LOGNAME, LANG, LC_ALL, TZ,
   * TMPDIR and the proxies: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, also in lower case. The address of a proxy may
   * contain its password; to keep it from an agent, set the variable to "" in `env`.
   */
  readonly passEnv?: ReadonlyArray<string> | undefined
  /**
   * The method of `authenticate` for an agent that requires it. Without one, the server uses a method whose key is in the
   * agent's environment, and none that needs a person.
   */
  readonly authMethod?: string | undefined
  /** The answer to the agent's permission requests. */
  readonly permissions: "allow" | "deny"
  /**
   * The agent's mode to set on each session, for agents whose own settings may let them act without asking:
   * `permissions` has no effect on an agent that does not ask.
   */
  readonly mode?: string | undefined
  /** Sent as `_meta` when a session is created or restored, for agent-specific settings. */
  readonly sessionMeta?: Readonly<Record<string, unknown>> | undefined
  /** Whether the agent accepts `systemPrompt` in `_meta`: a string replaces its own prompt, `{ append }` adds to it. */
  readonly takesSystemPrompt?: boolean | undefined
}

/** A system prompt from the caller, appended to the agent's own or replacing it. */
export interface SystemPrompt {
  readonly text: string
  readonly mode: "append" | "replace"
}

/** An MCP server for the agent to call. */
export interface McpServer {
  readonly name: string
  readonly url: string
  readonly headers?: Readonly<Record<string, Redacted.Redacted>> | undefined
}

/** A file for the agent to read, with the name that the caller gave it. */
export interface Attachment {
  readonly name: string
  readonly path: string
  readonly size?: number | undefined
  readonly mediaType?: string | undefined
  /** The server's own copy, which no agent can change. */
  readonly stored?: string | undefined
}

/** The input of one turn. The prompt reaches the agent unaltered, after the files. */
export interface AgentTurn {
  /** Its number in the session, from 1. */
  readonly index: number
  readonly prompt: string
  readonly files: ReadonlyArray<Attachment>
  readonly timeout: Duration.Duration
}

/** The last element of a turn's stream. */
export interface TurnEnd {
  readonly _tag: "TurnEnd"
  readonly stopReason: string
  readonly usage?: Usage | undefined
}

/** What kind of failure an agent's is. Unlike its sentence, it has none of the agent's words. */
export type AgentFailureKind =
  | "auth_required"
  | "cancelled"
  | "cannot_start"
  | "closed"
  | "exited"
  | "invalid_response"
  | "not_restorable"
  | "option_refused"
  | "refused"
  | "timeout"
  | "too_much_output"
  | "unknown_agent"
  | "unsupported_version"

/** The agent could not start, failed its turn, or exited. The session itself survives, unless it is `lost`. */
export class AgentFailed extends Data.TaggedError("AgentFailed")<{
  /** One sentence, with the exit code or signal if the process exited. */
  readonly error: string
  /** The tail of the agent's standard error, bounded. */
  readonly stderr: string
  /** `timeout` if a deadline passed, `cancelled` if the server cancelled it, otherwise `error`. */
  readonly stopReason: "cancelled" | "error" | "timeout"
  /** For logs; the stop reason says it where this is missing. */
  readonly kind?: AgentFailureKind | undefined
  /** For a session that could not be restored: whether it never can be, or this attempt `failed`, as any other failure. */
  readonly restore?: "failed" | "lost" | undefined
}> {
  override get message(): string {
    return this.error
  }
}

/** The agent does not support the requested model, effort or system prompt; the session was not opened. */
export class AgentOptionRefused extends Data.TaggedError("AgentOptionRefused")<{
  readonly option: "effort" | "mcp_servers" | "model" | "system"
  /** One sentence. */
  readonly error: string
}> {
  override get message(): string {
    return this.error
  }
}

/** One of the values of an agent's setting. */
export interface Choice {
  readonly id: string
  /** For people to read. */
  readonly name: string
}

/** What an agent said that it can do. */
export interface AgentOffer {
  /** By name: `images`, `mcp`, `load`, … */
  readonly features: Readonly<Record<string, boolean>>
  readonly models?: ReadonlyArray<Choice> | undefined
  readonly modes?: ReadonlyArray<Choice> | undefined
}

/** A live session: one agent process in its own process group, terminated when the scope closes. */
export interface AgentSession {
  /** The agent's own id of the session, needed to restore it. */
  readonly id: string
  /** The process id, which is also the process group id. */
  readonly pid: number
  /**
   * Runs one turn and streams its events; the last element is `TurnEnd`. The caller must run one turn at a time.
   * When `cancel` completes, the agent is asked to stop and the turn ends with stop reason `cancelled`. Interrupting the
   * stream cancels the turn too. An agent that does not stop has its process killed.
   */
  readonly turn: (turn: AgentTurn, cancel?: Effect.Effect<unknown>) => Stream.Stream<TurnEvent | TurnEnd, AgentFailed>
  /** Whether another process of the agent can restore the session. */
  readonly isRestorable: boolean
  readonly offer: AgentOffer
  /** Waits until it takes no more turns: its process has exited, or can no longer be reached. */
  readonly ended: Effect.Effect<void>
}
