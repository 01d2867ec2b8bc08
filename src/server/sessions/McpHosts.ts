/**
 * The hosts whose MCP servers the operator allows: an agent that calls any other could reach what only this machine can.
 */
import { Context, Effect, Layer } from "effect"
import { bodyIssue, Invalid } from "../../api/Errors.ts"
import type { McpServers } from "../../wire/McpServers.ts"

export interface Options {
  /** Their names, with a port where only that one is allowed; none if not given. */
  readonly mcpHosts?: ReadonlyArray<string> | undefined
}

export class McpHosts extends Context.Service<
  McpHosts,
  {
    /** Whether there are any. */
    readonly any: boolean
    /** Refuses servers of other hosts. */
    readonly check: (servers: McpServers) => Effect.Effect<void, Invalid>
  }
>()("effect-clawdforge/server/sessions/McpHosts") {}

export const make = ({ mcpHosts = [] }: Options): McpHosts["Service"] => {
  const hosts = new Set(mcpHosts.map((host) => host.toLowerCase()))
  const isAllowed = (text: string) => {
    const { host = "", hostname = "" } = URL.parse(text) ?? {}
    return hosts.has(hostname) || hosts.has(host)
  }
  return {
    any: hosts.size > 0,
    check: (servers) => {
      const wrong = servers.flatMap(({ url }, index) =>
        isAllowed(url)
          ? []
          : [bodyIssue(["mcp_servers", index, "url"], "must be of a host that the server's operator allows for MCP")]
      )
      return wrong.length === 0 ? Effect.void : Effect.fail(new Invalid({ detail: wrong }))
    }
  }
}

export const layer = (options: Options) => Layer.succeed(McpHosts, make(options))
