import { assert, it } from "@effect/vitest"
import * as Permission from "../../../src/agent/acp/Permission.ts"

const option = (kind: string) => ({ optionId: `the ${kind}`, kind, name: kind })
const all = ["allow_always", "reject_always", "allow_once", "reject_once"]

const decided = (policy: "allow" | "deny", kinds: ReadonlyArray<string>): string =>
  Permission.decide(policy, { sessionId: "s", toolCall: { toolCallId: "c" }, options: kinds.map(option) }).decision

it("prefers once to always, and never selects an option of the opposite kind", () => {
  assert.strictEqual(decided("allow", all), "allow_once")
  assert.strictEqual(decided("deny", all), "reject_once")
  assert.strictEqual(decided("allow", ["reject_once", "allow_always"]), "allow_always")
  assert.strictEqual(decided("deny", ["allow_once", "reject_always"]), "reject_always")
})

it("cancels the tool call if no option fits", () => {
  assert.strictEqual(decided("deny", ["allow_once", "allow_always"]), "cancelled")
  assert.strictEqual(decided("allow", ["maybe"]), "cancelled")
  assert.strictEqual(decided("allow", []), "cancelled")
})

it("selects an option by its kind, not by its name or id", () => {
  const request = {
    sessionId: "s",
    toolCall: { toolCallId: "c" },
    options: ["x", null, { kind: "allow_once" }, option("allow_once")]
  }
  assert.deepStrictEqual(Permission.decide("allow", request).outcome, {
    outcome: "selected",
    optionId: "the allow_once"
  })
})
