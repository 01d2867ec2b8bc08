/**
 * Flags whose values are more than a word: spans of time, sizes, addresses.
 */
import { ByteSize, Duration, Option } from "effect"
import { Flag } from "effect/cli"
import { isIP } from "node:net"

const isFinite = (span: Duration.Duration) => Duration.isFinite(span) && !Duration.isNegative(span)

/** "10 minutes", or bare seconds. */
export const spanOf = (text: string): Option.Option<Duration.Duration> => {
  if (/^\d+(\.\d+)?$/.test(text)) return Option.some(Duration.seconds(Number(text)))
  // Boundary: whether the text is a span of time is what is asked here.
  return Option.filter(Duration.fromInput(text as Duration.Input), isFinite)
}

/** "200MB", or bare bytes. */
export const sizeOf = (text: string): Option.Option<ByteSize.ByteSize> =>
  /^\d+$/.test(text) ? Option.some(ByteSize.bytes(BigInt(text))) : ByteSize.fromString(text)

/** Where to listen. */
export interface Address {
  readonly host: string
  readonly port: number
}

const addressPattern = /^(?:\[(?<six>[^\]]+)\]|(?<host>[^:[\]]+)):(?<port>\d{1,5})$/

/** "127.0.0.1:8800", "[::1]:8800" or "localhost:8800". */
export const addressOf = (text: string): Option.Option<Address> => {
  const { host, port = "", six } = addressPattern.exec(text)?.groups ?? {}
  const name = six ?? host
  if (name === undefined || Number(port) > 65_535) return Option.none()
  if (six !== undefined && isIP(six) !== 6) return Option.none()
  return Option.some({ host: name, port: Number(port) })
}

/** Whether only this machine can reach an address. */
export const isLoopback = ({ host }: Address) => host === "localhost" || host === "::1" || /^127\.[\d.]+$/.test(host)

export const span = (name: string) =>
  Flag.String(name).pipe(
    Flag.withMetavar("time"),
    Flag.filterMap(spanOf, () => `Expected a span of time, such as "10 minutes" or 600`)
  )

export const size = (name: string) =>
  Flag.String(name).pipe(
    Flag.withMetavar("size"),
    Flag.filterMap(sizeOf, () => `Expected a size, such as 200MB or a number of bytes`)
  )

export const address = (name: string) =>
  Flag.String(name).pipe(
    Flag.withMetavar("host:port"),
    Flag.filterMap(addressOf, () => `Expected an address, such as 127.0.0.1:8800`)
  )

/** A count from one on. */
export const count = (name: string) =>
  Flag.Int(name).pipe(
    Flag.filter(
      (given) => given >= 1,
      () => `Expected 1 or more`
    )
  )
