/**
 * The whole suite, as a value.
 */
import { Effect } from "effect"
import { Admin } from "./Admin.ts"
import { Agents } from "./Agents.ts"
import { Behaviour } from "./Behaviour.ts"
import { Cancel } from "./Cancel.ts"
import type { Case, Group } from "./Case.ts"
import { Endpoints } from "./Endpoints.ts"
import { Errors } from "./Errors.ts"
import { EventStream } from "./EventStream.ts"
import { Extras } from "./Extras.ts"
import { Files } from "./Files.ts"
import { Idempotency } from "./Idempotency.ts"
import { Linger } from "./Linger.ts"
import { ListSessions } from "./ListSessions.ts"
import { McpServers } from "./McpServers.ts"
import { OldClients } from "./OldClients.ts"
import { OneSession } from "./OneSession.ts"
import { OpenSession } from "./OpenSession.ts"
import { RunStream, Runs } from "./Runs.ts"
import { App, Server } from "./Server.ts"
import { TurnEvents } from "./TurnEvents.ts"
import { Turns } from "./Turns.ts"
import { SessionFiles } from "./SessionFiles.ts"
import { Workspaces } from "./Workspaces.ts"

export const groups: ReadonlyArray<Group> = [
  Endpoints,
  Runs,
  Files,
  OpenSession,
  ListSessions,
  OneSession,
  Turns,
  Admin,
  Errors,
  TurnEvents,
  EventStream,
  RunStream,
  Idempotency,
  Linger,
  Cancel,
  Extras,
  Agents,
  Workspaces,
  McpServers,
  SessionFiles,
  Behaviour,
  OldClients
]

/** Runs one case with a new app; returns the needs that the server does not meet. */
export const hold = Effect.fnUntraced(function* (one: Case) {
  const server = yield* Server
  const missing = server.missing(one)
  if (missing.length === 0) yield* Effect.provideServiceEffect(one.test, App, server.newApp)
  return missing
}, Effect.scoped)
