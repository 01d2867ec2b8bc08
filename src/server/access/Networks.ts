/**
 * Sets of networks, as an operator or the admin of an app names them: `10.0.0.0/8`, `fd00::/8`.
 *
 * An address of the old kind that is written as one of the new kind (`::ffff:10.0.0.1`) is the same address.
 */
import { Data, Effect } from "effect"
import { BlockList, isIP } from "node:net"

/** What was given is no network. */
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

/** Where the four bytes of the old kind begin in an address of the new kind. */
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
