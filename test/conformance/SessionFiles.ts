/**
 * WIRE.md, "What our server adds": the files in the folder of a session.
 */
import { Effect } from "effect"
import { strict as assert } from "node:assert"
import type { Group } from "./Case.ts"
import * as Expect from "./Expect.ts"
import { App, Server } from "./Server.ts"

const binary = "application/octet-stream"

/** A session, and the requests about its files. */
const open = Effect.gen(function* () {
  const app = yield* App
  const id = yield* app.open()
  const at = (path: string) => `/sessions/${id}/files/content?path=${encodeURIComponent(path)}`
  return {
    app,
    id,
    list: (query = "") => app.request("GET", `/sessions/${id}/files${query}`),
    read: (path: string, headers: Readonly<Record<string, string>> = {}) => app.request("GET", at(path), { headers }),
    write: (path: string, text: string, headers: Readonly<Record<string, string>> = {}) =>
      app.request("PUT", at(path), {
        body: new TextEncoder().encode(text),
        headers: { "content-type": binary, ...headers }
      })
  }
})

const pathsIn = (entries: unknown) => Expect.records(entries).map(({ kind, path }) => `${String(kind)} ${String(path)}`)

export const SessionFiles: Group = {
  name: "What our server adds: files",
  cases: [
    {
      title:
        "PUT writes a file and the folders above it, GET gives its bytes with a tag; neither is shown by a browser",
      needs: ["feature files"],
      test: Effect.gen(function* () {
        const { read, write } = yield* open
        for (const [path, text] of [
          ["notes.txt", "Buy milk."],
          ["a/b/ü #?&.txt", "é\r\n\u0000"],
          ["empty", ""]
        ] as const) {
          const { etag } = Expect.answer(yield* write(path, text), 200, {
            ok: true,
            size: new TextEncoder().encode(text).byteLength,
            etag: Expect.isString
          })
          const got = yield* read(path)
          assert.deepEqual([got.status, got.text], [200, text])
          assert.equal(got.headers["etag"], `"${String(etag)}"`)
          assert.equal(got.headers["content-type"], binary)
          assert.equal(got.headers["content-disposition"], "attachment")
          assert.equal(got.headers["x-content-type-options"], "nosniff")
        }
      })
    },
    {
      title: "GET lists a folder with kinds, sizes and times, as deep as depth; what is not UTF-8 is counted",
      needs: ["feature files"],
      test: Effect.gen(function* () {
        const { list, write } = yield* open
        yield* write("src/deep/a.ts", "1")
        yield* write("src/b.ts", "22")
        yield* write("c.ts", "333")
        const entriesOf = Effect.fnUntraced(function* (query: string) {
          const { entries } = Expect.answer(yield* list(query), 200, { ok: true, truncated: false, unlisted: 0 })
          return Expect.records(entries).filter(({ path }) => !String(path).startsWith("."))
        })
        assert.deepEqual(pathsIn(yield* entriesOf("")), ["file c.ts", "dir src"])
        assert.deepEqual(pathsIn(yield* entriesOf("?depth=2")), [
          "file c.ts",
          "dir src",
          "file src/b.ts",
          "dir src/deep"
        ])
        assert.deepEqual(pathsIn(yield* entriesOf("?path=src&depth=2")), [
          "file src/b.ts",
          "dir src/deep",
          "file src/deep/a.ts"
        ])
        const [file] = yield* entriesOf("")
        Expect.fields(file, { size: 3, modified_at: Expect.isTime, etag: Expect.isString })
      })
    },
    {
      title: "Range gives a part of a file: 206, or 416 where there is none of it",
      needs: ["feature files"],
      test: Effect.gen(function* () {
        const { read, write } = yield* open
        yield* write("digits", "0123456789")
        for (const [range, text, part] of [
          ["bytes=0-3", "0123", "0-3"],
          ["bytes=4-", "456789", "4-9"],
          ["bytes=8-99", "89", "8-9"],
          ["bytes=-2", "89", "8-9"]
        ] as const) {
          const got = yield* read("digits", { range })
          assert.deepEqual([got.status, got.text, got.headers["content-range"]], [206, text, `bytes ${part}/10`])
        }
        const none = yield* read("digits", { range: "bytes=10-" })
        assert.deepEqual([none.status, none.headers["content-range"]], [416, "bytes */10"])
        assert.equal((yield* read("digits", { range: "lines=1-2" })).status, 200)
      })
    },
    {
      title: "If-Match and If-None-Match: * are conditions: 412 where they do not hold, and nothing is written",
      needs: ["feature files"],
      test: Effect.gen(function* () {
        const { read, write } = yield* open
        const first = Expect.answer(yield* write("a", "1", { "if-none-match": "*" }), 200)
        const tag = `"${String(first["etag"])}"`
        Expect.refused(yield* write("a", "2", { "if-none-match": "*" }), 412, "file has changed")
        const second = Expect.answer(yield* write("a", "2", { "if-match": tag }), 200)
        assert.notEqual(second["etag"], first["etag"])
        Expect.refused(yield* write("a", "3", { "if-match": tag }), 412)
        Expect.refused(yield* write("new", "3", { "if-match": tag }), 412)
        Expect.refused(yield* read("a", { "if-match": tag }), 412)
        Expect.invalid(yield* write("a", "3", { "if-none-match": '"x"' }), ["header", "if-none-match"])
        assert.equal((yield* read("a")).text, "2")
        assert.equal((yield* read("new")).status, 404)
      })
    },
    {
      title: "a path that leaves the folder, or is none, is 422; what is not there 404; a folder is no file",
      needs: ["feature files"],
      test: Effect.gen(function* () {
        const { list, read, write } = yield* open
        yield* write("a/b", "x")
        for (const path of ["..", "../x", "a/../../x", "/etc/passwd", "a//b", "./a", "a/.", "a/", "", "a\u0000b"]) {
          Expect.invalid(yield* read(path), ["query", "path"])
          Expect.invalid(yield* write(path, "x"), ["query", "path"])
          if (path !== "") Expect.invalid(yield* list(`?path=${encodeURIComponent(path)}`), ["query", "path"])
        }
        for (const path of ["none", "none/x", "a/none", "a/b/c"])
          Expect.refused(yield* read(path), 404, "file not found")
        Expect.refused(yield* list("?path=none"), 404)
        Expect.refused(yield* write("a/b/c", "x"), 404)
        Expect.invalid(yield* read("a"), ["query", "path"])
        Expect.invalid(yield* write("a", "x"), ["query", "path"])
        for (const depth of ["0", "33", "x"]) Expect.invalid(yield* list(`?depth=${depth}`), ["query", "depth"])
      })
    },
    {
      title: "an agent's files can be read, and it reads those that were written",
      needs: ["feature files", "demo"],
      test: Effect.gen(function* () {
        const { app, id, read } = yield* open
        yield* app.turn(id, "/write report.md All is well.")
        assert.equal((yield* read("report.md")).text, "All is well.")
      })
    },
    {
      title: "too large: 413, and nothing is written",
      needs: ["feature files", "small"],
      test: Effect.gen(function* () {
        const { read, write } = yield* open
        Expect.answer(yield* write("a", "x".repeat(100_000)), 200, { size: 100_000 })
        Expect.refused(yield* write("b", "x".repeat(400_000)), 413)
        Expect.refused(yield* read("b"), 404)
      })
    },
    {
      title: "another app's session is 404, a closed one 410",
      needs: ["feature files", "admin"],
      test: Effect.gen(function* () {
        const { app, id, list, read, write } = yield* open
        yield* write("a", "x")
        const other = yield* (yield* Server).newApp
        for (const path of ["files", "files/content?path=a"]) {
          Expect.refused(yield* other.request("GET", `/sessions/${id}/${path}`), 404, "session not found")
        }
        yield* app.request("DELETE", `/sessions/${id}`)
        for (const answer of [yield* list(), yield* read("a"), yield* write("a", "x")]) Expect.refused(answer, 410)
      })
    }
  ]
}
