/**
 * Which proxy requests go through: one that the program names, or those of the environment, as curl reads it.
 */
import { Effect, Redacted, Result } from "effect"
import { BlockList, isIP } from "node:net"
import type { ApiError } from "../ForgeError.ts"
import * as Input from "../internal/calls/Input.ts"

/** A proxy, or where to find one. */
export type ProxyOption = string | URL | Redacted.Redacted | false

export interface Proxies {
  /** The proxy for requests to an origin, undefined where they go directly. */
  readonly of: (origin: URL) => URL | undefined
  readonly all: ReadonlyArray<URL>
}

const none: Proxies = { of: () => undefined, all: [] }

const call = { operation: "NodeForgeClient.layer", method: "", path: "" }

/** Whether Node itself was asked to use the proxies of the environment. */
const isAskedOfNode = ({ NODE_OPTIONS = "", NODE_USE_ENV_PROXY }: NodeJS.ProcessEnv): boolean =>
  NODE_USE_ENV_PROXY === "1" || [...process.execArgv, ...NODE_OPTIONS.split(" ")].includes("--use-env-proxy")

/** The URL of a proxy. What is wrong with it is said without it: it may hold a password. */
const parse = (text: string, name: string): Result.Result<URL, ApiError<422>> => {
  const url = URL.parse(text)
  return url !== null && /^https?:$/.test(url.protocol) && url.pathname === "/" && url.search + url.hash === ""
    ? Result.succeed(url)
    : Result.fail(
        Input.refuse(call, [
          { path: [name], message: "must be the http or https URL of a proxy, http://user:password@proxy:3128 for one" }
        ])
      )
}

const loopback = new BlockList()
loopback.addSubnet("127.0.0.0", 8)
loopback.addAddress("::1", "ipv6")

/** Whether a name means this machine, which no proxy could reach. */
const isLoopback = (host: string): boolean =>
  /^(.*\.)?localhost$/.test(host) || (isIP(host) !== 0 && loopback.check(host, isIP(host) === 6 ? "ipv6" : "ipv4"))

/** A host as NO_PROXY names it: without the brackets of an IPv6 address and without the dot of a full name. */
const hostOf = ({ hostname }: URL): string =>
  hostname
    .toLowerCase()
    .replace(/^\[(.*)\]$/, "$1")
    .replace(/\.$/, "")

const portOf = ({ port, protocol }: URL): string => port || (protocol === "https:" ? "443" : "80")

/** Whether an entry of NO_PROXY names a host: `*`, a name with all names below it, or an address; with a port or without. */
const isNamedBy = (entry: string, origin: URL): boolean => {
  const [, host = "", port] =
    /^(\*|\[[^\]]*\]|[^:]*|[^[\]]*:[^[\]]*:[^[\]]*)(?::(\d+))?$/.exec(entry.toLowerCase()) ?? []
  if (port !== undefined && port !== portOf(origin)) return false
  const name = host
    .replace(/^\[(.*)\]$/, "$1")
    .replace(/^\*?\./, "")
    .replace(/\.$/, "")
  return name === "*" || (name !== "" && `.${hostOf(origin)}`.endsWith(`.${name}`))
}

const fromEnvironment = Effect.fnUntraced(function* (environment: NodeJS.ProcessEnv) {
  const valueOf = (name: string): string => environment[name.toLowerCase()] ?? environment[name] ?? ""
  const proxyOf = (name: string) => {
    const value = valueOf(name)
    return value === "" ? Result.succeed(undefined) : parse(value, name)
  }
  const http = yield* Effect.fromResult(proxyOf("HTTP_PROXY"))
  const https = yield* Effect.fromResult(proxyOf("HTTPS_PROXY"))
  const excepted = valueOf("NO_PROXY").split(/[,\s]+/)
  const isDirect = (origin: URL): boolean =>
    isLoopback(hostOf(origin)) || excepted.some((entry) => isNamedBy(entry, origin))
  return {
    of: (origin: URL) => (isDirect(origin) ? undefined : origin.protocol === "https:" ? https : http),
    all: [http, https].filter((proxy) => proxy !== undefined)
  }
})

/** The proxies of an option, or of the environment where that is wanted. */
export const make = Effect.fnUntraced(function* (
  option: ProxyOption | undefined,
  environment: NodeJS.ProcessEnv = process.env
): Effect.fn.Return<Proxies, ApiError<422>> {
  if (option === "env" || (option === undefined && isAskedOfNode(environment))) {
    return yield* fromEnvironment(environment)
  }
  if (option === undefined || option === false) return none
  const proxy = yield* Effect.fromResult(
    parse(String(Redacted.isRedacted(option) ? Redacted.value(option) : option), "proxy")
  )
  return { of: () => proxy, all: [proxy] }
})
