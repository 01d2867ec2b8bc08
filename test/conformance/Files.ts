/**
 * WIRE.md, "POST /files".
 */
import { Effect, Redacted } from "effect"
import { strict as assert } from "node:assert"
import { Upload } from "../../src/index.ts"
import type { Group } from "./Case.ts"
import * as Expect from "./Expect.ts"
import * as Form from "../support/Form.ts"
import { App, Server } from "./Server.ts"

const post = Effect.fnUntraced(function* (parts: ReadonlyArray<string>, query = "") {
  const app = yield* App
  return yield* app.request("POST", `/files${query}`, Form.of(...parts))
})

const hello = Form.file("hello")

export const Files: Group = {
  name: "POST /files",
  cases: [
    {
      title: "multipart/form-data with a part file: 200 with file_token ff_…, ttl_secs and size in bytes",
      test: Effect.gen(function* () {
        for (const [content, size] of [
          ["hello", 5],
          ["", 0],
          ["é\r\n\u0000--x\r\n", 10]
        ] as const) {
          Expect.answer(yield* post([Form.file(content)]), 200, {
            file_token: Expect.like(/^ff_[A-Za-z0-9_-]{16,128}$/),
            ttl_secs: 3600,
            size
          })
        }
      })
    },
    {
      title: "field ttl_secs, 60 to 86400, before or after the file; the answer has the effective value",
      test: Effect.gen(function* () {
        for (const ttl of [60, 61, 86400]) {
          const field = Form.field("ttl_secs", String(ttl))
          Expect.answer(yield* post([field, hello]), 200, { ttl_secs: ttl })
          Expect.answer(yield* post([hello, field]), 200, { ttl_secs: ttl })
        }
      })
    },
    {
      title: "ttl_secs outside its range is 422, in the form as in the query",
      needs: ["ours"],
      test: Effect.gen(function* () {
        for (const ttl of ["59", "86401", "-60", "", "x", "60.5", "1e3", "true"]) {
          Expect.invalid(yield* post([hello, Form.field("ttl_secs", ttl)]), ["body", "ttl_secs"])
          Expect.invalid(yield* post([hello], `?ttl_secs=${ttl}`), ["query", "ttl_secs"])
        }
      })
    },
    {
      title: "the server also accepts ttl_secs as a query parameter",
      needs: ["ours"],
      test: Effect.gen(function* () {
        Expect.answer(yield* post([hello], "?ttl_secs=61"), 200, { ttl_secs: 61 })
      })
    },
    {
      title: "part file is required",
      test: Effect.gen(function* () {
        Expect.invalid(yield* post([Form.field("ttl_secs", "60")]), ["body", "file"])
        Expect.invalid(yield* post([Form.file("hello", "notes.txt", "attachment")]), ["body", "file"])
        const app = yield* App
        Expect.invalid(yield* app.request("POST", "/files", { body: { file: "hello" } }), ["body"])
      })
    },
    {
      title: "one file part, at most eight parts",
      needs: ["ours"],
      test: Effect.gen(function* () {
        Expect.invalid(yield* post([hello, hello]), ["body", "file"])
        const more = (count: number) => Array.from({ length: count }, (_, index) => Form.field(`extra-${index}`, "x"))
        Expect.answer(yield* post([...more(7), hello]), 200)
        Expect.invalid(yield* post([...more(8), hello]), ["body"])
      })
    },
    {
      title:
        "a token belongs to the app that uploaded it; to any other app it does not exist: 404, like an unknown one",
      needs: ["admin"],
      test: Effect.gen(function* () {
        const { newApp } = yield* Server
        const [app, other] = [yield* App, yield* newApp]
        const foreign = yield* other.upload("secret")
        const own = yield* app.upload("mine")
        const id = yield* app.open()
        const texts = new Set<string>()
        for (const files of [[foreign], [own, foreign], [`ff_${"x".repeat(32)}`], [`${own}x`]]) {
          for (const path of ["/run", `/sessions/${id}/turn`]) {
            const answer = yield* app.request("POST", path, { body: { prompt: "Read.", files } })
            Expect.refused(answer, 404)
            texts.add(answer.text)
          }
        }
        assert.equal(texts.size, 1, [...texts].join("\n"))
        Expect.answer(yield* app.request("GET", `/sessions/${id}`), 200, { turn_count: 0 })
      })
    },
    {
      title: "at most 32 files of one turn or run",
      needs: ["ours"],
      test: Effect.gen(function* () {
        const app = yield* App
        const id = yield* app.open()
        const token = yield* app.upload("x")
        for (const path of ["/run", `/sessions/${id}/turn`]) {
          const ask = (count: number) =>
            app.request("POST", path, { body: { prompt: "Read.", files: Array.from({ length: count }, () => token) } })
          Expect.invalid(yield* ask(33), ["body", "files"])
          Expect.answer(yield* ask(32), 200)
        }
      })
    },
    {
      title: 'the 404 of a file says {"detail": "file not found"}',
      needs: ["ours"],
      test: Effect.gen(function* () {
        const app = yield* App
        const answer = yield* app.request("POST", "/run", { body: { prompt: "x", files: ["ff_unknown"] } })
        Expect.refused(answer, 404, "file not found")
      })
    },
    {
      title: "too large: 413",
      needs: ["small"],
      test: Effect.gen(function* () {
        Expect.answer(yield* post([Form.file("x".repeat(100_000))]), 200, { size: 100_000 })
        Expect.refused(yield* post([Form.file("x".repeat(400_000))]), 413)
      })
    },
    {
      title: "an image is in the prompt itself, for an agent that takes images, and any other file a link",
      needs: ["demo", "ours"],
      test: Effect.gen(function* () {
        const app = yield* App
        const upload = Effect.fnUntraced(function* (name: string, contentType: string, text: string) {
          const content = new TextEncoder().encode(text)
          return (yield* app.client.upload(Upload.fromBytes(name, content, { contentType }))).token
        })
        const tokens = [
          yield* upload("dot.png", "image/png", "not much"),
          yield* upload("dot.svg", "image/svg+xml", "<svg/>")
        ]
        const files = tokens.map((token) => Redacted.value(token))
        const events = Expect.turn(yield* app.turn(yield* app.open(), "What is it?", { files }))
        const text = Expect.textOf(events)
        assert.match(text, /I see an image of type image\/png with 8 bytes\./)
        assert.doesNotMatch(text, /svg\+xml/)
        assert.match(text, /I read dot\.png: 1 line\..*I read dot\.svg: 1 line\./)
      })
    },
    {
      title: "the client uploads bytes, CRLF-exact, and their time to live",
      needs: ["demo"],
      test: Effect.gen(function* () {
        const app = yield* App
        const bytes = new TextEncoder().encode("first line\r\nsecond line\r\n")
        const file = yield* app.client.upload(Upload.fromBytes("a.txt", bytes), { timeToLive: "2 minutes" })
        assert.equal(file.size, bytes.length)
        const id = yield* app.open()
        const answer = yield* app.turn(id, "What does it say?", { files: [Redacted.value(file.token)] })
        assert.match(answer.text, /first line\\r\\nsecond line\\r\\n/)
      })
    }
  ]
}
