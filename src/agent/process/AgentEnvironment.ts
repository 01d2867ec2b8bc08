/**
 * Builds an agent's environment: the standard variables, the proxies, and those of its definition. The server's own
 * settings and secrets are never passed on.
 */
import { userInfo } from "node:os"
import type { AgentDefinition } from "../Agent.ts"

export type Environment = Readonly<Record<string, string | undefined>>

/** The variables that any program needs. On macOS, Claude finds its login by USER. */
const standard = ["PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR"]

const proxies = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"]

/** The hosts that no proxy can reach for an agent: the tools of a session are served on this machine. */
const loopback = ["127.0.0.1", "localhost", "::1"]

const inBothCases = (names: ReadonlyArray<string>) => names.flatMap((name) => [name, name.toLowerCase()])

/** The server's own settings, which no definition can pass on. */
const isReserved = (name: string): boolean => name.startsWith("CLAWDFORGE_")

/** The name of the server's user. A user without an entry in the system's table has none. */
const userName = (server: Environment): string | undefined => {
  const given = server["USER"] ?? server["LOGNAME"]
  if (given !== undefined) return given
  // boundary: Node throws where the system does not know the user.
  try {
    return userInfo().username
  } catch {
    return undefined
  }
}

/** The server's proxies, in the case in which they are set, unless the definition has one of the same name in any case. */
const proxiesOf = ({ env = {} }: AgentDefinition, server: Environment): Environment => {
  const own = new Set(Object.keys(env).map((name) => name.toUpperCase()))
  const names = [...proxies, "NO_PROXY"].filter((name) => !own.has(name))
  return Object.fromEntries(inBothCases(names).map((name) => [name, server[name]]))
}

/** Adds this machine to the hosts that are reached without a proxy, if there is one. */
const withoutProxyForLoopback = (environment: Record<string, string>) => {
  const isSet = (name: string) => (environment[name] ?? "") !== ""
  if (!inBothCases(proxies).some(isSet)) return environment
  const { NO_PROXY, no_proxy } = environment
  const complete = (given = "") => {
    const hosts = given.split(/[\s,]+/).filter((host) => host !== "")
    // An asterisk means all hosts, and only if it stands alone.
    return hosts.includes("*") ? "*" : [...new Set([...hosts, ...loopback])].join(",")
  }
  return { ...environment, NO_PROXY: complete(NO_PROXY ?? no_proxy), no_proxy: complete(no_proxy ?? NO_PROXY) }
}

/** The complete environment of an agent. */
export const make = (definition: AgentDefinition, server: Environment = process.env): Record<string, string> => {
  const user = userName(server)
  const known: Environment = { ...server, USER: user, LOGNAME: server["LOGNAME"] ?? user }
  const passed = [...standard, ...(definition.passEnv ?? [])].map((name) => [name, known[name]] as const)
  const environment: Record<string, string> = {}
  for (const [name, value] of [
    ...Object.entries(proxiesOf(definition, server)),
    ...passed,
    ...Object.entries(definition.env ?? {})
  ]) {
    if (value !== undefined && !isReserved(name)) environment[name] = value
  }
  return withoutProxyForLoopback(environment)
}
