import { assert, it } from "@effect/vitest"
import * as PendingRequests from "../../../src/agent/acp/PendingRequests.ts"

const pendingOf = (...ids: ReadonlyArray<string | number>) => {
  const pending = PendingRequests.make()
  ids.forEach(pending.add)
  return pending
}

it("a response is for the request of its id, once, also if the agent sends the id back as text", () => {
  const pending = pendingOf(1, 2, "three")
  assert.deepStrictEqual(
    ["2", 2, 1, "three", 4, "five"].map((id) => pending.take(id)),
    [2, undefined, 1, "three", undefined, undefined]
  )
})

it("a response without an id is for the only pending request, and for none if there are several", () => {
  assert.strictEqual(pendingOf(7).take(null), 7)
  assert.isUndefined(pendingOf().take(null))
  const pending = pendingOf(1, 2)
  assert.isUndefined(pending.take(null))
  assert.strictEqual(pending.take(1), 1)
})
