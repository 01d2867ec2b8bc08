/**
 * Flags whose values are more than a word: spans of time, sizes, counts, addresses, networks.
 */
import { ByteSize, Duration, Effect, Option } from "effect"
import { CliError, Flag } from "effect/cli"
import { isIP } from "node:net"
import * as Networks from "../server/access/Networks.ts"

/** A hundred years, which is long enough to mean never. */
export const longest = Duration.seconds(3_155_760_000)

const isPossible = Duration.between({ minimum: Duration.zero, maximum: longest })

/** "10 minutes", or bare seconds. */
export const spanOf = (text: string): Option.Option<Duration.Duration> => {
  const span = /^\d+(\.\d+)?$/.test(text)
    ? Option.some(Duration.seconds(Number(text)))
    : // boundary: whether the text is a span of time is what is asked here
      Duration.fromInput(text as Duration.Input)
  return Option.filter(span, isPossible)
}

/** More than any disk has, and still a number that every counter of bytes can hold. */
const largest = ByteSize.petabytes(1)

/** "200MB", or bare bytes. */
export const sizeOf = (text: string): Option.Option<ByteSize.ByteSize> => {
  const size = /^\d+$/.test(text) ? Option.some(ByteSize.bytes(BigInt(text))) : ByteSize.fromString(text)
  return Option.filter(size, (bytes) => bytes >= 1n && bytes <= largest)
}

/** No machine has that many of anything that is counted here. */
export const most = 1_000_000

/** A whole number from one on. */
export const countOf = (text: string): Option.Option<number> =>
  Option.liftPredicate(Number(text), (count) => /^\d+$/.test(text) && count >= 1 && count <= most)

/** Where to listen. */
export interface Address {
  readonly host: string
  readonly port: number
}

const addressPattern = /^(?:\[(?<six>[^\]]+)\]|(?<name>[a-z\d](?:[\w.-]*[a-z\d])?))(?::(?<port>\d{1,5}))?$/i

const parse = (text: string) => {
  const { name, port, six } = addressPattern.exec(text)?.groups ?? {}
  const host = (six ?? name)?.toLowerCase()
  if (host === undefined || (six !== undefined && isIP(host) !== 6) || Number(port ?? 0) > 65_535) return undefined
  return { host, port }
}

/** "127.0.0.1:8800", "[::1]:8800" or "localhost:8800". */
export const addressOf = (text: string): Option.Option<Address> => {
  const { host, port } = parse(text) ?? {}
  return host === undefined || port === undefined ? Option.none() : Option.some({ host, port: Number(port) })
}

/** "forge.example" or "[fd00::1]", as a `Host` header has it without its port. */
export const hostOf = (text: string): Option.Option<string> => {
  const { host } = parse(text) ?? {}
  if (host === undefined) return Option.none()
  return Option.some(isIP(host) === 6 ? `[${host}]` : host)
}

/** "https://app.example", exactly as a browser sends it: no path, no port that goes without saying. */
export const originOf = (text: string): Option.Option<string> =>
  Option.liftPredicate(text, () => /^https?:/.test(text) && URL.parse(text)?.origin === text)

/** Whether only this machine can reach an address. */
export const isLoopback = ({ host }: Address) => host === "localhost" || host === "::1" || /^127\.[\d.]+$/.test(host)

const kind =
  <A>(metavar: string, parse: (text: string) => Option.Option<A>, expected: string) =>
  (name: string) =>
    Flag.String(name).pipe(
      Flag.withMetavar(metavar),
      Flag.filterMap(parse, () => `Expected ${expected}`)
    )

export const span = (name: string, least = Duration.zero) =>
  kind(
    "time",
    (text) => Option.filter(spanOf(text), Duration.isGreaterThanOrEqualTo(least)),
    `a span of time from ${Duration.format(least)} to 100 years, such as "10 minutes", or seconds`
  )(name)

export const size = kind(
  "size",
  sizeOf,
  "a size from 1 byte to 1 PB, such as 900kB, 200MB or 1GiB, or a number of bytes"
)

export const count = kind("count", countOf, `a whole number from 1 to ${most}`)

export const address = kind("host:port", addressOf, "an address and a port, such as 127.0.0.1:8800")

export const host = kind("host", hostOf, "the name of a host, such as forge.example")

export const origin = kind("origin", originOf, "an origin as browsers send it, such as https://app.example")

/** A file or a folder. */
export const path = (name: string, metavar: string) =>
  kind(metavar, (text) => Option.liftPredicate(text, (path) => path.trim() !== ""), `a ${metavar}`)(name)

export const network = (name: string) =>
  Flag.String(name).pipe(
    Flag.withMetavar("network"),
    Flag.mapEffect((cidr) =>
      Effect.mapBoth(Networks.make([cidr]), {
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
