/**
 * The handlers of the endpoints about the server itself: health and readiness.
 */
import { Effect, Option } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { clientInfo } from "../../agent/acp/ClientInfo.ts"
import { Api } from "../../api/Api.ts"
import { features } from "../../wire/Features.ts"
import { InstalledAgents } from "../agents/InstalledAgents.ts"
import { Folders } from "../folders/Folders.ts"
import { McpHosts } from "../sessions/McpHosts.ts"
import { SessionEngine } from "../sessions/SessionEngine.ts"
import { Readiness } from "../upkeep/Readiness.ts"
import { Workspaces } from "../workspaces/Workspaces.ts"

export const layer = HttpApiBuilder.group(
  Api,
  "system",
  Effect.fnUntraced(function* (handlers) {
    const installed = yield* InstalledAgents
    const engine = yield* SessionEngine
    const readiness = yield* Readiness
    const mcpHosts = yield* McpHosts
    const folders = yield* Folders
    const workspaces = yield* Workspaces
    // Those that depend on the operator's tables, or on the system, are named where there is something in them, or it can.
    const absent = new Set<string>([
      ...(folders.isSupported ? [] : ["files"]),
      ...(workspaces.names.length > 0 ? [] : ["diff", "workspaces"]),
      ...(mcpHosts.any ? [] : ["mcp_servers"])
    ])
    const named = features.filter((feature) => !absent.has(feature))
    return handlers.handleAll({
      ready: Effect.fnUntraced(function* () {
        yield* readiness.check
        return { ok: true as const }
      }),
      health: Effect.fnUntraced(function* () {
        return {
          ok: true,
          claudePresent: installed.claude,
          claudeVersion: Option.getOrUndefined(installed.claudeVersion),
          // Other servers drive their agents with a program of this name; this one has it built in.
          acpxPresent: installed.any,
          acpxVersion: clientInfo.version,
          openSessions: yield* engine.size,
          features: named
        }
      })
    })
  })
)
