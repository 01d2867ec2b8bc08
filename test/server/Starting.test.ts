/**
 * Servers that cannot start, and their one sentence for the operator.
 */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, describe, it } from "@effect/vitest"
import { ByteSize, Effect, FileSystem, Layer } from "effect"
import { createServer } from "node:net"
import * as ForgeServer from "../../src/server/ForgeServer.ts"
import { call, options, serve } from "./Support.ts"

describe("a server that cannot start reports one sentence", () => {
  const messageOf = (more: Partial<ForgeServer.Options>) =>
    Layer.build(ForgeServer.layer({ ...options, ...more })).pipe(
      Effect.flip,
      Effect.scoped,
      Effect.map(({ _tag, message }) => [_tag, message] as const)
    )

  it.live("for a port in use", () =>
    Effect.gen(function* () {
      const port = yield* Effect.acquireRelease(
        Effect.callback<readonly [number, () => void]>((resume) => {
          const server = createServer().listen(0, "127.0.0.1", () => {
            const address = server.address()
            const port = typeof address === "object" && address !== null ? address.port : 0
            resume(Effect.succeed([port, () => server.close()]))
          })
        }),
        ([, close]) => Effect.sync(close)
      )
      assert.deepStrictEqual(yield* messageOf({ port: port[0] }), [
        "StartFailed",
        `cannot listen on 127.0.0.1:${port[0]}: the port is taken`
      ])
    }).pipe(Effect.scoped)
  )

  it.live("for the address of another machine", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* messageOf({ host: "203.0.113.9" }), [
        "StartFailed",
        "cannot listen on 203.0.113.9:0: this machine does not have the address"
      ])
    })
  )

  it.live("for an invalid port", () =>
    Effect.gen(function* () {
      for (const port of [99_999, -1, 1.5, NaN]) {
        assert.deepStrictEqual(yield* messageOf({ port }), [
          "StartFailed",
          `cannot listen on port ${port}: a port is a whole number from 0 to 65535`
        ])
      }
    })
  )

  it.live("for a file that may be larger than all files of an app together, embedded too", () =>
    Effect.gen(function* () {
      const limits = { maxUpload: ByteSize.megabytes(2), maxAppUploads: ByteSize.megabytes(1) }
      const message =
        "a file may be of 2 MB (max-upload), and all files of an app together only of 1 MB (max-app-uploads)"
      assert.deepStrictEqual(yield* messageOf(limits), ["StartFailed", message])
      const embedded = Layer.build(ForgeServer.layerEmbedded({ agents: [], ...limits }))
      assert.strictEqual((yield* Effect.flip(Effect.scoped(embedded))).message, message)
    })
  )

  it.live("for a malformed network, and for an unusable data folder", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* messageOf({ allowedCidrs: ["10.0.0.0"] }), [
        "StartFailed",
        '"10.0.0.0" is not a network, such as 10.0.0.0/8'
      ])
      for (const [data, why] of [
        ["/dev/null/data", "it is not a folder"],
        ["/proc/data", "no folder can be made there"]
      ] as const) {
        assert.deepStrictEqual(yield* messageOf({ data }), [
          "StartFailed",
          `the data folder ${data} cannot be used: ${why}`
        ])
      }
    })
  )

  it.live("for a folder with other contents, which it leaves unchanged", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const data = yield* fs.makeTempDirectoryScoped()
      yield* fs.makeDirectory(`${data}/runs`)
      yield* fs.writeFileString(`${data}/runs/precious`, "mine")
      yield* fs.chmod(data, 0o755)
      assert.deepStrictEqual(yield* messageOf({ data }), [
        "StartFailed",
        `${data} is not a data folder of clawdforge: it is not empty, and has no ledger.db`
      ])
      assert.strictEqual(yield* fs.readFileString(`${data}/runs/precious`), "mine")
      assert.strictEqual((yield* fs.stat(data)).mode & 0o777, 0o755)
    }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))
  )

  it.live("for a file that is not a ledger", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const data = yield* fs.makeTempDirectoryScoped()
      yield* fs.writeFileString(`${data}/ledger.db`, "no database, but longer than the header of one".repeat(100))
      assert.deepStrictEqual(yield* messageOf({ data }), [
        "StartFailed",
        "the ledger cannot be used: file is not a database"
      ])
      yield* fs.writeFileString(`${data}/lock.db`, "no database, but longer than the header of one".repeat(100))
      assert.deepStrictEqual(yield* messageOf({ data }), [
        "StartFailed",
        `the data folder ${data} cannot be used: its lock.db cannot be locked`
      ])
    }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))
  )

  it.live("for a data folder in use, whose next server finds everything in it", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const data = yield* fs.makeTempDirectoryScoped()
      const first = yield* serve({ data })
      assert.deepStrictEqual(yield* messageOf({ data }), [
        "StartFailed",
        `another server is running on the data folder ${data}`
      ])
      const app = yield* first.mint("app")
      yield* first.stop

      const second = yield* serve({ data })
      const answer = yield* call(`${second.url}/sessions`, "GET", { headers: { authorization: `Bearer ${app.token}` } })
      assert.strictEqual(answer.status, 200)
      for (const [path, mode] of [
        ["", 0o700],
        ["/sessions", 0o700],
        ["/ledger.db", 0o600],
        ["/ledger.db-wal", 0o600],
        ["/lock.db", 0o600]
      ] as const) {
        assert.strictEqual((yield* fs.stat(data + path)).mode & 0o777, mode, path)
      }
    }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))
  )
})
