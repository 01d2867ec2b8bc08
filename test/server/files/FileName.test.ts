import { assert, describe, it } from "@effect/vitest"
import * as FileName from "../../../src/server/files/FileName.ts"

describe("FileName", () => {
  it("a name loses its folders and its unprintable characters", () => {
    const names = {
      "notes.txt": "notes.txt",
      "../../etc/passwd": "passwd",
      "C:\\Users\\me\\notes.txt": "notes.txt",
      "/": "file",
      "": "file",
      "..": "file",
      ".bashrc": "bashrc",
      ". . .hidden": "hidden",
      "a\r\nb\u0000c\u007f.txt": "abc.txt",
      "invoice\u202Etxt.exe": "invoicetxt.exe",
      "half \uD800 of it.txt": "half  of it.txt",
      "two\u2028lines": "twolines",
      " spaces around ": "spaces around",
      "Überweisung März.pdf": "Überweisung März.pdf",
      'a "quoted" name%22.txt': 'a "quoted" name%22.txt'
    }
    assert.deepStrictEqual(
      Object.keys(names).map((name) => FileName.clean(name)),
      Object.values(names)
    )
  })

  it("a long name is cut, and keeps its extension", () => {
    const long = FileName.clean(`${"😀".repeat(1_000)}.jpeg`)
    assert.strictEqual(Array.from(long).length, 128)
    assert.isTrue(long.startsWith("😀😀"))
    assert.isTrue(long.endsWith("😀.jpeg"))
    assert.strictEqual(FileName.clean("x".repeat(1_000)), "x".repeat(128))
  })

  it("an extension counts only if it is short and plain", () => {
    const extensions = {
      "a.txt": ".txt",
      "a.tar.GZ": ".GZ",
      a: "",
      ".txt": "",
      "a.": "",
      "a.t xt": "",
      "a.ü": "",
      [`a.${"x".repeat(17)}`]: "",
      "a.txt/../x": ""
    }
    assert.deepStrictEqual(
      Object.keys(extensions).map((name) => FileName.extension(name)),
      Object.values(extensions)
    )
  })
})
