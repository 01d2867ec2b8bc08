/**
 * Networks as Node reads them.
 *
 * An IPv4-mapped IPv6 address (`::ffff:10.0.0.1`) is the IPv4 address.
 */
import { Effect, Layer } from "effect"
import { BlockList, isIP } from "node:net"
import { Networks, type NetworkSet, NotANetwork } from "./Networks.ts"

const family = (address: string) => (isIP(address) === 6 ? "ipv6" : "ipv4")

const cidrPattern = /^(?<network>[^/]+)\/(?<prefix>\d{1,3})$/

const mappedPattern = /^::ffff:(?<network>\d+\.\d+\.\d+\.\d+)$/i

/** The bits before the IPv4 address in an IPv4-mapped one. */
const mappedBits = 96

const split = (cidr: string) => {
  const { network = "", prefix = "" } = cidrPattern.exec(cidr)?.groups ?? {}
  const bits = Number.parseInt(prefix, 10)
  const mapped = mappedPattern.exec(network)?.groups?.["network"]
  return mapped !== undefined && bits >= mappedBits ? { network: mapped, bits: bits - mappedBits } : { network, bits }
}

export const parse = Effect.fnUntraced(function* (
  cidrs: ReadonlyArray<string>
): Effect.fn.Return<NetworkSet, NotANetwork> {
  const list = new BlockList()
  for (const cidr of cidrs) {
    const { bits, network } = split(cidr)
    yield* Effect.try({
      try: () => list.addSubnet(network, bits, family(network)),
      catch: (cause) => new NotANetwork({ cidr, cause })
    })
  }
  return { contains: (address) => isIP(address) !== 0 && list.check(address, family(address)) }
})

export const layer = Layer.succeed(Networks, Networks.of({ parse }))
