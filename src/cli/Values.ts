/**
 * Parsers and flags for durations, sizes, counts, addresses, hosts, origins and networks.
 */
import { ByteSize, Duration, Effect, Option, Schema } from "effect"
import { CliError, Flag } from "effect/cli"
import { isIP } from "node:net"
import * as NodeNetworks from "../server/access/NodeNetworks.ts"
import { WorkspaceName } from "../wire/Workspaces.ts"

/** A hundred years, long enough to mean never. */
export const maxDuration = Duration.seconds(3_155_760_000)

const isInRange = Duration.between({ minimum: Duration.zero, maximum: maxDuration })

/** Parses "10 minutes", or a number of seconds. */
export const durationOf = (text: string): Option.Option<Duration.Duration> => {
  const duration = /^\d+(\.\d+)?$/.test(text)
    ? Option.some(Duration.seconds(Number(text)))
    : // boundary: fromInput itself checks whether the text is a duration
      Duration.fromInput(text as Duration.Input)
  return Option.filter(duration, isInRange)
}

/** Larger than any disk, and still a safe integer. */
const maxSize = ByteSize.petabytes(1)

/** Parses "200MB", or a number of bytes. */
export const sizeOf = (text: string): Option.Option<ByteSize.ByteSize> => {
  const size = /^\d+$/.test(text) ? Option.some(ByteSize.bytes(BigInt(text))) : ByteSize.fromString(text)
  return Option.filter(size, (bytes) => bytes >= 1n && bytes <= maxSize)
}

/** Far beyond what one machine can run. */
export const maxCount = 1_000_000

/** Parses a whole number from 1 to `maxCount`. */
export const countOf = (text: string): Option.Option<number> =>
  Option.liftPredicate(Number(text), (count) => /^\d+$/.test(text) && count >= 1 && count <= maxCount)

/** An address to listen on. */
export interface Address {
  readonly host: string
  readonly port: number
}

const addressPattern = /^(?:\[(?<ipv6>[^\]]+)\]|(?<name>[a-z\d](?:[\w.-]*[a-z\d])?))(?::(?<port>\d{1,5}))?$/i

const parse = (text: string) => {
  const { ipv6, name, port } = addressPattern.exec(text)?.groups ?? {}
  const host = (ipv6 ?? name)?.toLowerCase()
  if (host === undefined || (ipv6 !== undefined && isIP(host) !== 6) || Number(port ?? 0) > 65_535) return undefined
  return { host, port }
}

/** Parses "127.0.0.1:8800", "[::1]:8800" or "localhost:8800". */
export const addressOf = (text: string): Option.Option<Address> => {
  const { host, port } = parse(text) ?? {}
  return host === undefined || port === undefined ? Option.none() : Option.some({ host, port: Number(port) })
}

const isWorkspaceName = Schema.is(WorkspaceName)

/** Parses "forge.example" or "[fd00::1]", as in a `Host` header, and drops the port. */
export const hostOf = (text: string): Option.Option<string> => {
  const { host } = parse(text) ?? {}
  if (host === undefined) return Option.none()
  return Option.some(isIP(host) === 6 ? `[${host}]` : host)
}

/** Parses "https://app.example", exactly as a browser sends it: without a path or a default port. */
export const originOf = (text: string): Option.Option<string> =>
  Option.liftPredicate(text, () => /^https?:/.test(text) && URL.parse(text)?.origin === text)

/** Whether an address can only be reached from this machine. */
export const isLoopback = ({ host }: Address) => host === "localhost" || host === "::1" || /^127\.[\d.]+$/.test(host)

const parsedFlag =
  <A>(metavar: string, parse: (text: string) => Option.Option<A>, expected: string) =>
  (name: string) =>
    Flag.String(name).pipe(
      Flag.withMetavar(metavar),
      Flag.filterMap(parse, () => `Expected ${expected}`)
    )

export const duration = (name: string, minimum = Duration.zero) =>
  parsedFlag(
    "time",
    (text) => Option.filter(durationOf(text), Duration.isGreaterThanOrEqualTo(minimum)),
    `a duration from ${Duration.format(minimum)} to 100 years, such as "10 minutes", or seconds`
  )(name)

export const size = parsedFlag(
  "size",
  sizeOf,
  "a size from 1 byte to 1 PB, such as 900kB, 200MB or 1GiB, or a number of bytes"
)

export const count = parsedFlag("count", countOf, `a whole number from 1 to ${maxCount}`)

export const address = parsedFlag("host:port", addressOf, "an address and a port, such as 127.0.0.1:8800")

export const host = parsedFlag("host", hostOf, "the name of a host, such as forge.example")

export const origin = parsedFlag("origin", originOf, "an origin as browsers send it, such as https://app.example")

/** Parses "shop=/srv/shop". */
export const workspaceOf = (text: string): Option.Option<{ readonly name: string; readonly path: string }> => {
  const { name = "", path = "" } = /^(?<name>[^=]*)=(?<path>.+)$/.exec(text)?.groups ?? {}
  return isWorkspaceName(name) ? Option.some({ name, path }) : Option.none()
}

export const workspace = parsedFlag(
  "name=folder",
  workspaceOf,
  "a name of lower-case letters, digits, _ and -, and a folder, such as shop=/srv/shop"
)

/** A flag for a file or a folder. */
export const path = (name: string, metavar: string) =>
  parsedFlag(metavar, (text) => Option.liftPredicate(text, (path) => path.trim() !== ""), `a ${metavar}`)(name)

export const network = (name: string) =>
  Flag.String(name).pipe(
    Flag.withMetavar("network"),
    Flag.mapEffect((cidr) =>
      Effect.mapBoth(NodeNetworks.parse([cidr]), {
        onFailure: () =>
          new CliError.InvalidValue({
            option: name,
            value: cidr,
            expected: "Expected a network, such as 10.0.0.0/8",
            kind: "flag"
          }),
        onSuccess: () => cidr
      })
    )
  )
