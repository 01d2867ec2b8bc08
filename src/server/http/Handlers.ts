/**
 * The handlers of all endpoints.
 */
import { Layer } from "effect"
import * as AdminHandlers from "./AdminHandlers.ts"
import * as AgentHandlers from "./AgentHandlers.ts"
import * as FileHandlers from "./FileHandlers.ts"
import * as RunHandlers from "./RunHandlers.ts"
import * as SessionHandlers from "./SessionHandlers.ts"
import * as SystemHandlers from "./SystemHandlers.ts"

export const layer = Layer.mergeAll(
  SystemHandlers.layer,
  AgentHandlers.layer,
  SessionHandlers.layer,
  RunHandlers.layer,
  FileHandlers.layer,
  AdminHandlers.layer
)
