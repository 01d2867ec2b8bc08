/**
 * Sets of networks in CIDR notation: `10.0.0.0/8`, `fd00::/8`.
 *
 * An IPv4-mapped IPv6 address (`::ffff:10.0.0.1`) is the IPv4 address.
 */
import { Data, Effect } from "effect"
import { BlockList, isIP } from "node:net"

/** A text is not a network in CIDR notation. */
export class NotANetwork extends Data.TaggedError("NotANetwork")<{ readonly cidr: string; readonly cause: unknown }> {
  override get message(): string {
    return `"${this.cidr}" is not a network, such as 10.0.0.0/8`
  }
}

export interface Networks {
  readonly contains: (address: string) => boolean
}

const family = (address: string) => (isIP(address) === 6 ? "ipv6" : "ipv4")

const cidrPattern = /^(?<network>[^/]+)\/(?<prefix>\d{1,3})$/

const mappedPattern = /^::ffff:(?<network>\d+\.\d+\.\d+\.\d+)$/i

/** The bits before the IPv4 address in an IPv4-mapped one. */
const mappedBits = 96

const parse = (cidr: string) => {
  const { network = "", prefix = "" } = cidrPattern.exec(cidr)?.groups ?? {}
  const bits = Number.parseInt(prefix, 10)
  const mapped = mappedPattern.exec(network)?.groups?.["network"]
  return mapped !== undefined && bits >= mappedBits ? { network: mapped, bits: bits - mappedBits } : { network, bits }
}

export const make = Effect.fnUntraced(function* (
  cidrs: ReadonlyArray<string>
): Effect.fn.Return<Networks, NotANetwork> {
  const list = new BlockList()
  for (const cidr of cidrs) {
    const { bits, network } = parse(cidr)
    yield* Effect.try({
      try: () => list.addSubnet(network, bits, family(network)),
      catch: (cause) => new NotANetwork({ cidr, cause })
    })
  }
  return { contains: (address) => isIP(address) !== 0 && list.check(address, family(address)) }
})
