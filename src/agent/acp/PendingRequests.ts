/**
 * The requests that the agent has not answered yet, and which of them a response is for.
 *
 * Some agents send an id back as text. JSON-RPC has null in place of the id of a request that could not be read: it is
 * for the only pending request, if there is just one.
 */
import type { JsonRpcId } from "@agentclientprotocol/sdk"

export interface PendingRequests {
  readonly add: (id: JsonRpcId) => void
  /** Removes the request that a response is for, and returns its id as it was sent; undefined if there is none. */
  readonly take: (id: JsonRpcId) => JsonRpcId | undefined
}

export const make = (): PendingRequests => {
  const ids = new Map<string, JsonRpcId>()
  const keyOf = (id: JsonRpcId): string => {
    const [only, ...others] = ids.keys()
    return id === null && only !== undefined && others.length === 0 ? only : String(id)
  }
  return {
    add: (id) => void ids.set(String(id), id),
    take: (id) => {
      const key = keyOf(id)
      const sent = ids.get(key)
      ids.delete(key)
      return sent
    }
  }
}
