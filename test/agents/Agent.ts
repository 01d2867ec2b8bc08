/**
 * What the trial has to know about an agent: where it comes from, how it is started against the stand-in of its model's
 * API, and in which words its model calls tools.
 */
import type { ToolUse } from "./dialects/Dialect.ts"
import type { Asides } from "./ModelApi.ts"

/** What the agent's settings refer to. */
export interface Place {
  /** A home that no other agent uses, with nothing in it. */
  readonly home: string
  /** The stand-in of the model's API. */
  readonly url: string
  /** Its only valid key. */
  readonly key: string
}

export interface Setup {
  readonly env: Readonly<Record<string, string>>
  /** The files of its settings, by their paths in the home. */
  readonly files?: Readonly<Record<string, string>> | undefined
}

/** The checks that all agents share, in the order of the table. */
export const checkNames = [
  "open",
  "two turns",
  "stream",
  "usage",
  "cancel",
  "file",
  "allow",
  "deny",
  "model",
  "kill",
  "restart",
  "close",
  "nothing left"
] as const
export type CheckName = (typeof checkNames)[number]

export interface Agent {
  readonly name: string
  readonly package: string
  /** Pinned and checked, since npm on an older Node silently installs an older one. */
  readonly version: string
  /** Whether its package has to run a script at its installation. */
  readonly runsScripts?: boolean | undefined
  /** The command in `node_modules/.bin`, and its arguments. */
  readonly command: readonly [string, ...ReadonlyArray<string>]
  readonly setup: (place: Place) => Setup
  /** Other rows of the agents table, with variables added to those of the agent. */
  readonly variants?: ((place: Place) => Readonly<Record<string, Variant>>) | undefined
  /** How its model writes and reads a file. */
  readonly write: (file: string, content: string) => ToolUse
  readonly read: (file: string) => ToolUse
  /** What it asks the model besides the conversation. */
  readonly asides?: Asides | undefined
  /** A model to choose, and the name under which the API gets it. */
  readonly model?: { readonly choice: string; readonly arrives: string } | undefined
  /**
   * Whether it names the file of a session by the minute, so that loading it in the minute in which it was created
   * overwrites it.
   */
  readonly restoresNextMinute?: boolean | undefined
  /** The checks that it cannot pass, whatever the server does, and why. */
  readonly cannot?: Readonly<Partial<Record<CheckName, string>>> | undefined
}

export interface Variant {
  readonly env?: Readonly<Record<string, string>> | undefined
  readonly permissions?: "allow" | "deny" | undefined
}
