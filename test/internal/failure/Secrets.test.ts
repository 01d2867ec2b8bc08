import { assert, describe, it } from "@effect/vitest"
import * as Message from "../../../src/internal/failure/Message.ts"
import * as Secrets from "../../../src/internal/failure/Secrets.ts"

describe("Secrets.scrub", () => {
  it("removes a secret anywhere, plain or in JSON", () => {
    const secret = 'a "quoted" prompt\nof two lines'
    const text = `said ${secret}, as ${JSON.stringify({ prompt: secret })}`
    assert.strictEqual(Secrets.scrub(text, [secret]), `said <redacted>, as {"prompt":"<redacted>"}`)
    assert.strictEqual(Secrets.scrub("Xcf_long-tokenX", ["cf_long-token"]), "X<redacted>X")
  })

  it("removes a short secret as a whole word only", () => {
    assert.strictEqual(Secrets.scrub("the agent exited: x", ["x"]), "the agent exited: <redacted>")
    assert.strictEqual(Secrets.scrub(`cannot go on with "go"`, ["go"]), `cannot <redacted> on with "<redacted>"`)
    assert.strictEqual(Secrets.scrub("élan, élancé", ["lan", "élan"]), "<redacted>, élancé")
    assert.strictEqual(Secrets.scrub("a.b acb", ["a.b"]), "<redacted> acb")
    assert.strictEqual(Secrets.scrub("a (", ["("]), "a <redacted>")
  })

  it("leaves a text without secrets unchanged", () => {
    assert.strictEqual(Secrets.scrub("as it is", [""]), "as it is")
  })

  it("removes pieces of a secret: cut, escaped, or from either end of a long one", () => {
    const secret = `Read the ledger of "Meyer & Sons" and sum up what each of the partners owes`
    assert.strictEqual(Secrets.scrub("bad prompt: Read the ledger of…", [secret]), "bad prompt: <redacted>…")
    const page = "<p>no: Read the ledger of &quot;Meyer &amp; Sons&#34; and sum up what</p>"
    const answer = { status: 500, json: undefined, text: page, secrets: [secret] }
    assert.strictEqual(Message.fromResponse(answer), "no: <redacted>")
    const long = `${"first words, ".repeat(1000)}${"other words; ".repeat(100_000)}and the last of them`
    assert.strictEqual(Secrets.scrub(`'${long.slice(0, 30)}…${long.slice(-30)}'`, [long]), "'<redacted>…<redacted>'")
  })

  it("leaves phrases that a long secret shares with any text", () => {
    const prompt = "Explain why the session was closed, what an agent is, and why it did not answer in time."
    for (const message of ["the agent did not start", "session is closed", "session not found"]) {
      assert.strictEqual(Secrets.scrub(message, [prompt]), message)
    }
  })

  it("removes tokens that are not in its list", () => {
    assert.strictEqual(
      Secrets.scrub('token cf_abcdef123 of "Bearer xyz.123", file ff_0123456', []),
      'token <redacted> of "<redacted>", file <redacted>'
    )
  })
})
