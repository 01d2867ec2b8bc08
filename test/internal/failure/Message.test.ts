import { assert, describe, it } from "@effect/vitest"
import * as Message from "../../../src/internal/failure/Message.ts"

describe("Message.issuesOf", () => {
  it("takes path and message of each issue, up to a limit", () => {
    const issue = { loc: ["body", null, "files", 3], msg: "must be a file token", input: "canary" }
    assert.deepStrictEqual(Message.issuesOf({ detail: [issue, "is wrong"] }), [
      { path: ["body", "files", 3], message: "must be a file token" },
      { path: [], message: "is wrong" }
    ])
    const long = { loc: Array.from({ length: 10_000 }, () => "a"), msg: "is wrong" }
    const many = Message.issuesOf({ detail: Array.from({ length: 10_000 }, () => long) })
    assert.strictEqual(many.length, 100)
    assert.strictEqual(many[0]?.path.length, 32)
  })
})
