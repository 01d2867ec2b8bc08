/**
 * What the server knows of an agent: how it is started, what a turn of it is, and how it fails.
 */
import { Data, type Duration, type Effect, type Stream } from "effect"
import type { TurnEvent } from "../wire/TurnEvent.ts"
import type { Usage } from "../wire/Usage.ts"

/** One row of the agents table: an argv, never a shell string, and what of the environment it may see. */
export interface AgentDefinition {
  readonly name: string
  readonly command: readonly [string, ...ReadonlyArray<string>]
  /** An argv that the command is put behind: what keeps the agent in, such as bwrap, setpriv or a container. */
  readonly wrap?: readonly [string, ...ReadonlyArray<string>] | undefined
  /** Variables set for the agent alone. */
  readonly env?: Readonly<Record<string, string>> | undefined
  /** Names of the server's own variables that the agent may see, beside PATH, HOME, LANG and TMPDIR. */
  readonly passEnv?: ReadonlyArray<string> | undefined
  /** What a request for permission is answered with. */
  readonly permissions: "allow" | "deny"
  /**
   * The agent's mode that its sessions are held in, for an agent whose own settings could let it act without asking:
   * `permissions` only answers what the agent asks.
   */
  readonly mode?: string | undefined
  /** Sent as `_meta` when a session is opened: what an agent takes beyond the protocol. */
  readonly sessionMeta?: Readonly<Record<string, unknown>> | undefined
  /** Whether it takes a system prompt as `systemPrompt` in `_meta`: a text in place of its own, or one to `append`. */
  readonly takesSystemPrompt?: boolean | undefined
}

/** A system prompt of the user's, and how it stands beside the agent's own. */
export interface SystemPrompt {
  readonly text: string
  readonly mode: "append" | "replace"
}

/** A file that the agent can read, under the name that the user gave it. */
export interface Attachment {
  readonly name: string
  readonly path: string
  readonly size?: number | undefined
}

/** One turn: the user's words, unaltered, after the files that go with them. */
export interface AgentTurn {
  readonly prompt: string
  readonly files: ReadonlyArray<Attachment>
  readonly timeout: Duration.Duration
}

/** The last thing that a turn's stream gives. */
export interface TurnEnd {
  readonly _tag: "TurnEnd"
  readonly stopReason: string
  readonly usage?: Usage | undefined
}

/** The agent could not start, failed its turn, or went away; the session outlives it. */
export class AgentFailed extends Data.TaggedError("AgentFailed")<{
  /** One sentence, with the exit code or signal where the process ended. */
  readonly error: string
  /** The last of what it wrote to its standard error, bounded. */
  readonly stderr: string
  /** `timeout` where a deadline ended it, `cancelled` where its server did, else `error`. */
  readonly stopReason: "cancelled" | "error" | "timeout"
  /** Whether the agent has no way back to the session that it was to bring back; what else fails may do so only once. */
  readonly isSessionLost?: boolean | undefined
}> {
  override get message(): string {
    return this.error
  }
}

/** The agent does not know the model or the effort that was asked for, or has no way to set it or a system prompt; the session is not open. */
export class AgentOptionRefused extends Data.TaggedError("AgentOptionRefused")<{
  readonly option: "model" | "effort" | "system"
  /** One sentence. */
  readonly error: string
}> {
  override get message(): string {
    return this.error
  }
}

/** A live session of one agent process, in a process group of its own; it ends with its scope. */
export interface AgentSession {
  /** The agent's own id of the session, by which it can be loaded again. */
  readonly id: string
  /** The process, which is also its group. */
  readonly pid: number
  /**
   * One turn, as its events come; the last element is `TurnEnd`. One at a time: whoever holds the session sees to that.
   * Once `cancel` is done the agent is asked to end the turn, which then ends with `cancelled`. Interrupting it cancels
   * it too; an agent that does not obey loses its process.
   */
  readonly turn: (turn: AgentTurn, cancel?: Effect.Effect<unknown>) => Stream.Stream<TurnEvent | TurnEnd, AgentFailed>
  /** Whether another process of the agent can bring the session back. */
  readonly returns: boolean
  /** Waits for the process to end. */
  readonly exited: Effect.Effect<AgentFailed>
}
