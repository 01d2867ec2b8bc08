import { assert, it } from "@effect/vitest"
import * as ErrorReason from "../../../src/agent/acp/ErrorReason.ts"

const internal = (data: unknown, message = "Internal error") => ErrorReason.from({ message, data })

it("has the words of an error's data, wherever an agent puts them", () => {
  const places: ReadonlyArray<unknown> = [
    "no credit",
    { details: "no credit" },
    { message: "no credit" },
    { error: "no credit" },
    { error: { message: "no credit" } },
    { reason: "no credit" },
    { data: { message: "no credit" } },
    { cause: { message: "no credit" } }
  ]
  for (const data of places) assert.strictEqual(internal(data), "Internal error: no credit", JSON.stringify(data))
})

it("has the names of errors beside the words, or alone, in place of a message that says nothing", () => {
  assert.strictEqual(internal({ errorKind: "billing_error" }, "Internal error: No credit"), "billing_error: No credit")
  assert.strictEqual(
    internal({ message: "You've hit your limit.", codexErrorInfo: "usageLimitExceeded" }),
    "usageLimitExceeded: You've hit your limit."
  )
  assert.strictEqual(
    internal({ message: "No answer.", codexErrorInfo: { httpConnectionFailed: { httpStatusCode: 429 } } }),
    "httpConnectionFailed: No answer."
  )
  assert.strictEqual(
    internal({ name: "ProviderModelNotFoundError", data: { providerID: "x" } }),
    "ProviderModelNotFoundError"
  )
  assert.strictEqual(internal({ error: { type: "overloaded_error", message: "Busy" } }), "overloaded_error: Busy")
  assert.strictEqual(internal({ name: "Error", message: "Busy" }), "Internal error: Busy")
})

it("is the message alone only where there is nothing else", () => {
  for (const data of [undefined, null, 42, [], {}, { message: 7, code: 7, error: [] }, { message: "  \n" }]) {
    assert.strictEqual(internal(data), "Internal error", JSON.stringify(data))
  }
})

it("says nothing twice", () => {
  assert.strictEqual(internal({ message: "No credit" }, "Internal error: No credit"), "Internal error: No credit")
  assert.strictEqual(internal({ message: "a b", details: "a\n b" }, "a b"), "a b")
  assert.strictEqual(internal({ details: "No credit left" }, "No credit"), "No credit left")
  assert.strictEqual(
    internal({ type: "overloaded_error", message: "overloaded_error: busy" }),
    "overloaded_error: busy"
  )
})

it("is one line of bounded length, and well-formed where it is cut inside a character", () => {
  assert.strictEqual(internal(undefined, "no\n\n  credit ".repeat(100)), "no credit ".repeat(50))
  const cut = internal({ message: `${"x".repeat(499)}😀` }, "")
  assert.strictEqual(cut, `${"x".repeat(499)}�`)
})
