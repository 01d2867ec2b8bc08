import { assert, it } from "@effect/vitest"
import * as MediaType from "../../../src/server/files/MediaType.ts"

const of = (name: string, contentType?: string) => MediaType.of({ name, contentType })

it("is the one that the client gave, in lower case and without parameters", () => {
  assert.strictEqual(of("a.txt", "Text/CSV; charset=utf-8"), "text/csv")
  assert.strictEqual(of("a", " image/svg+xml "), "image/svg+xml")
})

it("is that of the name's extension where the client gave none, or none that is valid", () => {
  for (const given of [undefined, "", "application/octet-stream", "text", "text/", "text/a b", "te\nxt/plain", "*/*"]) {
    assert.strictEqual(of("a.b.PDF", given), "application/pdf", given)
  }
})

it("is that of text for source code whose extension is registered for something else", () => {
  assert.deepStrictEqual([of("a.ts"), of("a.mts"), of("a.rs")], ["text/plain", "text/plain", "text/plain"])
  assert.strictEqual(of("a.ts", "video/mp2t"), "video/mp2t")
})

it("is not known of a name without an extension, or with an unknown one", () => {
  for (const name of ["txt", "a", "a.", "a.unknown", ".txt", "a.t x t"]) assert.isUndefined(of(name), name)
})
