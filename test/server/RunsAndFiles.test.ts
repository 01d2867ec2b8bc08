import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, it } from "@effect/vitest"
import { ByteSize, Duration, Effect, FileSystem, Layer, Stream } from "effect"
import * as DemoAgent from "../../src/agent/DemoAgent.ts"
import { ApiError, Forge, type ForgeClient, Upload } from "../../src/index.ts"
import * as NodeForgeClient from "../../src/node/NodeForgeClient.ts"
import * as ForgeServer from "../../src/server/ForgeServer.ts"

const options = { agents: [DemoAgent.definition], maxUpload: ByteSize.megabytes(30) }

const overSocket = Layer.unwrap(
  Effect.gen(function* () {
    const server = yield* ForgeServer.ForgeServer
    const token = yield* Effect.orDie(server.mint("app"))
    return NodeForgeClient.layer({ url: server.url, token })
  })
).pipe(Layer.provide(ForgeServer.layer({ ...options, port: 0 })))

const servers: Readonly<Record<string, Layer.Layer<ForgeClient.ForgeClient, unknown>>> = {
  "an embedded server": ForgeServer.layerEmbedded(options),
  "a server over a socket": overSocket
}

const bytes = (text: string) => new TextEncoder().encode(text)

for (const [name, layer] of Object.entries(servers)) {
  it.layer(Layer.merge(layer, NodeServices.layer), { excludeTestServices: true })(`runs and files of ${name}`, (it) => {
    it.effect("a run takes all its options, and its answer is decoded", () =>
      Effect.gen(function* () {
        const file = yield* Forge.upload(Upload.fromBytes("list.txt", bytes("milk\r\neggs\r\n")), {
          timeToLive: "90 seconds"
        })
        assert.deepStrictEqual([file.size, file.timeToLive], [12, Duration.seconds(90)])
        const read = yield* Forge.run("What is on it?", { files: [file.token], model: "demo-terse" })
        assert.include(read.result, "I read list.txt: 2 lines. It begins with “milk")
        assert.strictEqual(read.stopReason, "end_turn")
        const json = yield* Forge.run('/echo ```\n{"total": 42}\n```', { effort: "high", timeout: "5 minutes" })
        assert.deepStrictEqual(json.result, { total: 42 })
        const system = yield* Forge.run("/system", { system: "Be brief.", systemMode: "replace" })
        assert.strictEqual(system.result, "Be brief.")
      })
    )

    it.effect("a file of 20 MB is uploaded from the disk, and from a stream, and read in turns of a session", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const folder = yield* fs.makeTempDirectoryScoped()
        const size = 20_000_000
        yield* fs.writeFile(`${folder}/large.log`, new Uint8Array(size).fill(97))
        const fromPath = yield* Forge.upload(yield* Upload.fromPath(`${folder}/large.log`))
        assert.strictEqual(fromPath.size, size)
        const pieces = Stream.fromIterable(Array.from({ length: 100 }, (_, index) => bytes(`line ${index}\n`)))
        const fromStream = yield* Forge.upload(Upload.fromStream("lines.txt", pieces))
        const session = yield* Forge.session({ agent: "demo" })
        const turn = yield* session.turn("Read them.", { files: [fromPath.token, fromStream.token] })
        assert.include(turn.text, "I read large.log: 1 line.")
        assert.include(turn.text, "I read lines.txt: 100 lines. It begins with “line 0”.")
      }).pipe(Effect.scoped)
    )

    it.effect("what the server refuses is an error of its status", () =>
      Effect.gen(function* () {
        const unknown = yield* Effect.flip(Forge.run("Read.", { files: [Upload.fileToken("ff_unknown")] }))
        assert.isTrue(ApiError.is(404)(unknown))
        assert.include(unknown.message, "file not found")
        const model = yield* Effect.flip(Forge.run("x", { model: "unknown" }))
        assert.isTrue(ApiError.is(422)(model))
        const timeout = yield* Effect.flip(Forge.run("x", { timeout: "1 second" }))
        assert.isTrue(ApiError.is(422)(timeout))
        const failed = yield* Effect.flip(Forge.run("/fail out of paper"))
        assert.isTrue(ApiError.is(502)(failed))
        assert.include(failed.message, "Agent demo failed the turn")
        const ttl = yield* Effect.flip(Forge.upload(Upload.fromBytes("a", bytes("x")), { timeToLive: "2 days" }))
        assert.strictEqual(ttl._tag, "ApiError")
        const large = yield* Effect.flip(Forge.upload(Upload.fromBytes("a", new Uint8Array(31_000_000))))
        assert.isTrue(ApiError.is(413)(large), String(large))
      })
    )

    it.effect("an upload whose source fails, fails with that", () =>
      Effect.gen(function* () {
        const source = Stream.make(bytes("begin")).pipe(Stream.concat(Stream.fail("out of disk" as const)))
        assert.strictEqual(yield* Effect.flip(Forge.upload(Upload.fromStream("a.txt", source))), "out of disk")
      })
    )
  })
}
