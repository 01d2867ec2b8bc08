import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, it } from "@effect/vitest"
import { ByteSize, Context, Effect, FileSystem, Layer, Schema } from "effect"
import { readdirSync, readFileSync, statSync } from "node:fs"
import { DatabaseSync } from "node:sqlite"
import { eventually } from "../support/Eventually.ts"
import * as Http from "../support/Http.ts"
import { type App, serve } from "./Support.ts"

const maxUpload = 200_000

/** A server with its data in a folder that the test can look into. */
const make = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const data = yield* fs.makeTempDirectoryScoped()
  const maxAppUploads = ByteSize.bytes(6 * maxUpload)
  const server = yield* serve({ data, maxUpload: ByteSize.bytes(maxUpload), maxAppUploads })
  return { ...server, data, app: yield* server.mint("app"), other: yield* server.mint("other") }
}).pipe(Effect.provide(NodeFileSystem.layer))
class Shared extends Context.Service<Shared, Effect.Success<typeof make>>()("test/Shared") {
  static readonly layer = Layer.effect(Shared, make)
}

const invalid = (loc: ReadonlyArray<string>, msg: string, type = "value_error") =>
  JSON.stringify({ detail: [{ loc, msg, type }] })
const noForm = invalid(["body"], "must be multipart/form-data, and whole")
const tooLarge = '{"detail":"request too large"}'

const filePart = (content: string, head = 'name="file"; filename="a.txt"') =>
  `--B\r\nContent-Disposition: form-data; ${head}\r\n\r\n${content}\r\n`
const field = (name: string, value: string) =>
  `--B\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`
const formType = { "content-type": "multipart/form-data; boundary=B" }

/** Uploads the parts of a form, as they are. */
const post = (app: App, parts: string, query = "", headers: Readonly<Record<string, string>> = formType) =>
  app.request("POST", `/files${query}`, { body: `${parts}--B--\r\n`, headers })

const Token = Schema.fromJsonString(Schema.Struct({ file_token: Schema.String }))
const upload = Effect.fnUntraced(function* (app: App, content: string) {
  const { text } = yield* post(app, filePart(content))
  return (yield* Effect.orDie(Schema.decodeEffect(Token)(text))).file_token
})

/** What is kept of all uploads: files on the disk, rows in the ledger. */
const kept = (data: string) => {
  const database = new DatabaseSync(`${data}/ledger.db`, { readOnly: true })
  const rows = database.prepare("SELECT sha256 FROM uploads").all()
  database.close()
  return { files: readdirSync(`${data}/uploads`).length, rows: rows.length }
}

/** Waits until so many files are kept. */
const filesAre = (data: string, count: number) =>
  Effect.sync(() => kept(data).files).pipe(eventually(`${count} files`, (files) => files === count))

/** Writes the start of a request to a socket, and gives what came back until the server closed it. */
const raw = (url: string, head: ReadonlyArray<string>, more: () => string | undefined = () => undefined) =>
  Effect.callback<{ readonly answer: string; readonly sent: number }>((resume) => {
    const socket = Http.connect(url)
    let answer = ""
    let sent = 0
    const write = (): void => {
      const next = answer === "" ? more() : undefined
      if (next === undefined) return
      sent += next.length
      if (socket.write(next)) write()
    }
    socket.on("drain", write)
    socket.on("data", (chunk) => (answer += String(chunk)))
    socket.on("close", () => resume(Effect.succeed({ answer, sent })))
    socket.write(`${[...head, "host: 127.0.0.1"].join("\r\n")}\r\n\r\n`)
    write()
    return Effect.sync(() => socket.destroy())
  })

it.layer(Shared.layer, { excludeTestServices: true })("uploads", (it) => {
  it.effect("are answered with a token, kept byte for byte, and private", () =>
    Effect.gen(function* () {
      const { app, data } = yield* Shared
      const content = "one\r\n--A\n\r\n\u0000é\r\n"
      const answer = yield* post(app, filePart(content))
      assert.strictEqual(answer.status, 200)
      assert.match(answer.text, /^\{"file_token":"ff_[A-Za-z0-9_-]{32}","ttl_secs":3600,"size":16\}$/)
      const { file_token: token } = yield* Schema.decodeEffect(Token)(answer.text)
      const file = readdirSync(`${data}/uploads`)
        .map((name) => `${data}/uploads/${name}`)
        .find((path) => readFileSync(path, "utf8") === content)
      assert.isDefined(file)
      assert.strictEqual(statSync(file ?? "").mode & 0o777, 0o600)
      assert.strictEqual(statSync(`${data}/uploads`).mode & 0o777, 0o700)
      const ledger = readFileSync(`${data}/ledger.db`, "latin1") + readFileSync(`${data}/ledger.db-wal`, "latin1")
      assert.isFalse(ledger.includes(token.slice(3)))
      assert.notInclude(file, token.slice(3))
      assert.strictEqual((yield* post(app, filePart("", 'name="file"; filename="empty"'))).status, 200)
    })
  )

  it.effect("are kept for as long as a field or the query says, the field before the query", () =>
    Effect.gen(function* () {
      const { app } = yield* Shared
      const ttlOf = (parts: string, query?: string) =>
        Effect.map(post(app, parts, query), ({ text }) => /"ttl_secs":(\d+)/.exec(text)?.[1] ?? text)
      assert.strictEqual(yield* ttlOf(field("ttl_secs", "60") + filePart("x")), "60")
      assert.strictEqual(yield* ttlOf(filePart("x") + field("ttl_secs", "86400")), "86400")
      assert.strictEqual(yield* ttlOf(filePart("x"), "?ttl_secs=61"), "61")
      assert.strictEqual(yield* ttlOf(filePart("x") + field("ttl_secs", "62"), "?ttl_secs=61"), "62")
      assert.strictEqual(yield* ttlOf(field("other", "thing") + filePart("x") + field("more", "things")), "3600")
    })
  )

  it.effect("with a time to live that is none are 422, and leave nothing", () =>
    Effect.gen(function* () {
      const { app, data } = yield* Shared
      const before = kept(data)
      const rule = "must be a whole number of seconds from 60 to 86400"
      for (const ttl of ["59", "86401", "", "abc", "1e3", "-100", "100.5", " 100", "0x64", "true", "1000000000000"]) {
        const inForm = yield* post(app, filePart("x") + field("ttl_secs", ttl))
        assert.deepStrictEqual([inForm.status, inForm.text], [422, invalid(["body", "ttl_secs"], rule)], ttl)
        const inQuery = yield* post(app, filePart("x"), `?ttl_secs=${encodeURIComponent(ttl)}`)
        assert.deepStrictEqual([inQuery.status, inQuery.text], [422, invalid(["query", "ttl_secs"], rule)], ttl)
      }
      assert.deepStrictEqual(kept(data), before)
    })
  )

  it.effect("whose form is none are 422, and leave nothing", () =>
    Effect.gen(function* () {
      const { app, data } = yield* Shared
      const before = kept(data)
      const missing = invalid(["body", "file"], "must have a file in a part named file", "missing")
      const misnamed = invalid(["body", "file"], "must be the name of the part that holds the file")
      const onlyOne = invalid(["body", "file"], "must be the only file")
      const unnamed = invalid(["body", "file"], "must be a file with a name")
      const tooMany = invalid(["body"], "must not have more than 8 parts")
      const forms: Readonly<Record<string, readonly [string, string]>> = {
        "no part": ["", missing],
        "no file": [field("ttl_secs", "100"), missing],
        "two files": [filePart("x") + filePart("y"), onlyOne],
        "another name": [filePart("x", 'name="other"; filename="a.txt"'), misnamed],
        "another name first": [filePart("x", 'name="other"; filename="a.txt"') + filePart("x"), misnamed],
        "a field for a file": [field("upload", "x"), missing],
        "no file name": [filePart("x", 'name="file"'), unnamed],
        "an empty file name": [filePart("x", 'name="file"; filename=""'), unnamed],
        "nine parts": [filePart("x") + field("a", "x").repeat(8), tooMany],
        "a bomb of parts": [filePart("x") + field("a", "").repeat(5_000), tooMany],
        "no disposition": ["--B\r\nX: y\r\n\r\nx\r\n", missing],
        "no name": [filePart("x", 'filename="a.txt"'), noForm],
        "two dispositions": [
          filePart("x", 'name="file"; filename="a"\r\nContent-Disposition: form-data; name="b"'),
          noForm
        ],
        "a control character in the file name": [filePart("x", 'name="file"; filename="a\u0000b"'), noForm],
        "a head without end": [`--B\r\nContent-Disposition: form-data; name="file"`, noForm],
        "a huge header": [filePart("x", `name="file"; filename="${"x".repeat(20_000)}"`), noForm],
        "too many headers": [filePart("x", `name="file"; filename="a"${"\r\nX: y".repeat(101)}`), noForm],
        "only a line feed": [filePart("x").replaceAll("\r\n", "\n"), noForm]
      }
      for (const [name, [parts, refusal]] of Object.entries(forms)) {
        const answer = yield* post(app, parts)
        assert.deepStrictEqual([answer.status, answer.text], [422, refusal], name)
      }
      assert.strictEqual((yield* post(app, filePart("x") + field("a", "x").repeat(7))).status, 200)
      assert.deepStrictEqual(kept(data), { files: before.files + 1, rows: before.rows + 1 })
    })
  )

  it.effect("whose body is no form, or not whole, are 422, and leave nothing", () =>
    Effect.gen(function* () {
      const { app, data } = yield* Shared
      const before = kept(data)
      for (const type of [
        "application/json",
        "multipart/form-data",
        "multipart/mixed; boundary=B",
        "text/plain; boundary=B"
      ]) {
        const answer = yield* post(app, filePart("x"), "", { "content-type": type })
        assert.deepStrictEqual([answer.status, answer.text], [422, noForm], type)
      }
      const whole = `${filePart("hello")}--B--\r\n`
      for (const cut of [0, 10, 70, whole.length - 16, whole.length - 8, whole.length - 4]) {
        const answer = yield* app.request("POST", "/files", { body: whole.slice(0, cut), headers: formType })
        assert.deepStrictEqual([answer.status, answer.text], [422, noForm], String(cut))
      }
      assert.deepStrictEqual(kept(data), before)
    })
  )

  it.effect("of any type are files, and of exactly the limit are taken; one byte more is 413", () =>
    Effect.gen(function* () {
      const { app, data } = yield* Shared
      const json = yield* post(app, filePart("{}", 'name="file"; filename="a.json"\r\nContent-Type: application/json'))
      assert.strictEqual(json.status, 200)
      const most = yield* post(app, filePart("x".repeat(maxUpload)))
      assert.strictEqual(most.status, 200)
      assert.include(most.text, `"size":${maxUpload}`)
      const before = kept(data)
      const over = yield* post(app, filePart("x".repeat(maxUpload + 1)))
      assert.deepStrictEqual([over.status, over.text, over.headers.get("connection")], [413, tooLarge, "close"])
      const longField = yield* post(app, filePart("x") + field("a", "x".repeat(20_000)))
      assert.deepStrictEqual([longField.status, longField.text], [413, tooLarge])
      assert.deepStrictEqual(kept(data), before)
    })
  )

  it.effect("that announce too much are 413 at once, without reading on", () =>
    Effect.gen(function* () {
      const { app, url } = yield* Shared
      const { answer } = yield* raw(url, [
        "POST /files HTTP/1.1",
        `authorization: Bearer ${app.token}`,
        "content-type: multipart/form-data; boundary=B",
        "content-length: 10000000000"
      ])
      assert.match(answer, /^HTTP\/1\.1 413 /)
      assert.match(answer, /\r\nconnection: close\r\n/i)
      assert.isTrue(answer.endsWith(tooLarge))
    })
  )

  it.effect("that announce nothing and do not end are cut at the limit", () =>
    Effect.gen(function* () {
      const { app, data, url } = yield* Shared
      const before = kept(data)
      const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`
      let first = true
      const { answer, sent } = yield* raw(
        url,
        [
          "POST /files HTTP/1.1",
          `authorization: Bearer ${app.token}`,
          "content-type: multipart/form-data; boundary=B",
          "transfer-encoding: chunked"
        ],
        () => {
          const next = chunk(first ? filePart("x").slice(0, -2) : "x".repeat(50_000))
          first = false
          return next
        }
      )
      assert.match(answer, /^HTTP\/1\.1 413 /)
      assert.isTrue(answer.endsWith(tooLarge))
      // What the sockets of both sides hold back was sent, and never read.
      assert.isBelow(sent, 20_000_000)
      assert.deepStrictEqual(kept(data), before)
    })
  )

  it.effect("whose client goes away leave nothing", () =>
    Effect.gen(function* () {
      const { app, data, url } = yield* Shared
      const before = kept(data)
      const parts = [filePart("x".repeat(1_000)).slice(0, -2)]
      yield* Effect.raceFirst(
        raw(
          url,
          [
            "POST /files HTTP/1.1",
            `authorization: Bearer ${app.token}`,
            "content-type: multipart/form-data; boundary=B",
            "content-length: 5000"
          ],
          () => parts.pop()
        ),
        filesAre(data, before.files + 1)
      )
      yield* filesAre(data, before.files)
      assert.deepStrictEqual(kept(data), before)
    })
  )

  it.effect("of an app that has as many as it may are 429, and another app's are not", () =>
    Effect.gen(function* () {
      const { data, mint, other } = yield* Shared
      const greedy = yield* mint("greedy")
      for (let count = 0; count < 5; count++) yield* upload(greedy, "x".repeat(maxUpload))
      const before = kept(data)
      const answer = yield* post(greedy, filePart("x".repeat(maxUpload)))
      assert.deepStrictEqual([answer.status, answer.text], [429, '{"detail":"too many requests"}'])
      assert.match(answer.headers.get("retry-after") ?? "", /^[1-9]/)
      assert.deepStrictEqual(kept(data), before)
      yield* upload(other, "x")
    })
  )

  it.effect("without a good bearer are 401, whatever they hold", () =>
    Effect.gen(function* () {
      const { app, data } = yield* Shared
      const before = kept(data)
      const answer = yield* app.request("POST", "/files", {
        body: `${filePart("x")}--B--\r\n`,
        headers: { ...formType, authorization: "Bearer cf_wrong" }
      })
      assert.deepStrictEqual([answer.status, answer.text], [401, '{"detail":"invalid token"}'])
      assert.deepStrictEqual(kept(data), before)
    })
  )
})
