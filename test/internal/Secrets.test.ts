import { assert, describe, it } from "@effect/vitest"
import * as Secrets from "../../src/internal/Secrets.ts"

describe("Secrets.scrub", () => {
  it("takes a secret out wherever it stands, as it is or as JSON writes it", () => {
    const secret = 'a "quoted" prompt\nof two lines'
    const text = `said ${secret}, as ${JSON.stringify({ prompt: secret })}`
    assert.strictEqual(Secrets.scrub(text, [secret]), `said <redacted>, as {"prompt":"<redacted>"}`)
    assert.strictEqual(Secrets.scrub("Xcf_long-tokenX", ["cf_long-token"]), "X<redacted>X")
  })

  it("takes a short one out where it stands as a word, and leaves other words alone", () => {
    assert.strictEqual(Secrets.scrub("the agent exited: x", ["x"]), "the agent exited: <redacted>")
    assert.strictEqual(Secrets.scrub(`cannot go on with "go"`, ["go"]), `cannot <redacted> on with "<redacted>"`)
    assert.strictEqual(Secrets.scrub("élan, élancé", ["lan", "élan"]), "<redacted>, élancé")
    assert.strictEqual(Secrets.scrub("a.b acb", ["a.b"]), "<redacted> acb")
    assert.strictEqual(Secrets.scrub("a (", ["("]), "a <redacted>")
  })

  it("leaves a text alone where there is no secret", () => {
    assert.strictEqual(Secrets.scrub("as it is", [""]), "as it is")
  })
})
