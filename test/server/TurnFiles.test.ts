import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, it } from "@effect/vitest"
import { Context, Effect, FileSystem, Layer, Schema } from "effect"
import { readdirSync, readFileSync, statSync } from "node:fs"
import * as Form from "../support/Form.ts"
import { type App, serve, turnOf } from "./Support.ts"

/** A server with its data in a folder that the test can look into. */
const make = Effect.gen(function* () {
  const data = yield* FileSystem.FileSystem.use((fs) => fs.makeTempDirectoryScoped())
  const { mint } = yield* serve({ data })
  return { data, app: yield* mint("app") }
}).pipe(Effect.provide(NodeFileSystem.layer))
class Shared extends Context.Service<Shared, Effect.Success<typeof make>>()("test/Shared") {
  static readonly layer = Layer.effect(Shared, make)
}

const Token = Schema.fromJsonString(Schema.Struct({ file_token: Schema.String }))
const upload = Effect.fnUntraced(function* (app: App, content: string, name = "a.txt") {
  const { text } = yield* app.request("POST", "/files", Form.of(Form.file(content, name)))
  return (yield* Effect.orDie(Schema.decodeEffect(Token)(text))).file_token
})

it.layer(Shared.layer, { excludeTestServices: true })("turns with files", (it) => {
  it.effect("give copies to the agent, under their cleaned names, before the prompt", () =>
    Effect.gen(function* () {
      const { app, data } = yield* Shared
      const notes = yield* upload(app, "first line\nsecond line\n", "../../.no tes.TXT")
      const more = yield* upload(app, "only line", "more")
      const { cwd, id } = yield* app.open
      const answer = yield* app.request("POST", `/sessions/${id}/turn`, {
        body: { prompt: " What do they say? ", files: [notes, more, notes] }
      })
      const { text } = yield* turnOf(answer)
      assert.isTrue(
        text.startsWith(
          "I read no tes.TXT: 2 lines. It begins with “first line”. I read more: 1 line. It begins with “only line”. " +
            "I read no tes.TXT: 2 lines."
        ),
        text
      )
      const [folder = ""] = readdirSync(cwd).filter((name) => name.startsWith("attachments-"))
      assert.deepStrictEqual(readdirSync(`${cwd}/${folder}`), ["attachment-1.TXT", "attachment-2", "attachment-3.TXT"])
      assert.include(answer.text, `"path":"${cwd}/${folder}/attachment-1.TXT"`)
      const copy = statSync(`${cwd}/${folder}/attachment-1.TXT`)
      assert.deepStrictEqual([copy.isFile(), copy.nlink, copy.mode & 0o777], [true, 1, 0o600])
      const [file = ""] = readdirSync(`${cwd}/.demo-agent`).filter((name) => name.endsWith(".json"))
      const memory = readFileSync(`${cwd}/.demo-agent/${file}`, "utf8")
      assert.include(memory, '"prompt":" What do they say? "')

      const again = yield* app.request("POST", `/sessions/${id}/turn`, { body: { prompt: "Again.", files: [more] } })
      assert.strictEqual(again.status, 200)
      assert.lengthOf(
        readdirSync(cwd).filter((name) => name.startsWith("attachments-")),
        2
      )
      assert.deepStrictEqual(
        readdirSync(`${data}/uploads`).filter((name) => name.startsWith("attachments-")),
        []
      )
      yield* app.request("DELETE", `/sessions/${id}`)
    })
  )

  it.effect("that are no tokens, or too many, are 422", () =>
    Effect.gen(function* () {
      const { app } = yield* Shared
      const own = yield* upload(app, "mine")
      const { id } = yield* app.open
      for (const path of [`/sessions/${id}/turn`, "/run"]) {
        const malformed = yield* app.request("POST", path, { body: { prompt: "Read.", files: ["../ledger.db"] } })
        assert.deepStrictEqual(
          [malformed.status, malformed.text],
          [422, '{"detail":[{"loc":["body","files",0],"msg":"must be a file token, ff_…","type":"value_error"}]}']
        )
        const many = yield* app.request("POST", path, { body: { prompt: "Read.", files: Array(33).fill(own) } })
        assert.deepStrictEqual(
          [many.status, many.text],
          [422, '{"detail":[{"loc":["body","files"],"msg":"must not be more than 32","type":"value_error"}]}']
        )
      }
      yield* app.request("DELETE", `/sessions/${id}`)
    })
  )

  it.effect("follow no link that an agent laid in their way", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const { app } = yield* Shared
      const outside = yield* fs.makeTempDirectoryScoped()
      const own = yield* upload(app, "mine")
      const { cwd, id } = yield* app.open
      for (const name of ["attachments", "attachment-1.txt"]) yield* fs.symlink(outside, `${cwd}/${name}`)
      const turn = yield* app.request("POST", `/sessions/${id}/turn`, { body: { prompt: "Read.", files: [own] } })
      assert.strictEqual(turn.status, 200)
      assert.deepStrictEqual(yield* fs.readDirectory(outside), [])
      yield* app.request("DELETE", `/sessions/${id}`)
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )
})
