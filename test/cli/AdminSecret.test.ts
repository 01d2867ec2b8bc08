import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, FileSystem, Option, Redacted } from "effect"
import * as AdminSecret from "../../src/cli/AdminSecret.ts"

const token = "the-admin-token-of-this-test-0123456789"
const variable = "CLAWDFORGE_ADMIN_TOKEN"

const load = (env: Record<string, string>, file: Option.Option<string> = Option.none()) =>
  AdminSecret.load(file).pipe(
    Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env }))),
    Effect.provide(NodeServices.layer)
  )

describe("AdminSecret", () => {
  it.effect("is read from the environment, and removed from it", () =>
    Effect.gen(function* () {
      process.env[variable] = token
      assert.strictEqual(Redacted.value(yield* load({ [variable]: token })), token)
      assert.notProperty(process.env, variable)
    })
  )

  it.effect("a file takes precedence over the environment, which is cleared all the same", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const file = yield* fs.makeTempFileScoped()
      yield* fs.writeFileString(file, `${token}\n`)
      yield* fs.chmod(file, 0o600)
      process.env[variable] = "other"
      const loaded = yield* load({ [variable]: "x".repeat(40) }, Option.some(file))
      assert.strictEqual(Redacted.value(loaded), token)
      assert.notProperty(process.env, variable)
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.effect("a missing or a short token is refused", () =>
    Effect.gen(function* () {
      const messageOf = (env: Record<string, string>, file?: string) =>
        Effect.map(Effect.flip(load(env, Option.fromUndefinedOr(file))), ({ message }) => message)
      const needed = `an admin token is needed: set ${variable}, or name a file with --admin-token-file`
      assert.strictEqual(yield* messageOf({}), needed)
      assert.strictEqual(yield* messageOf({ [variable]: "" }), needed)
      const short = "the admin token must have at least 32 characters"
      assert.strictEqual(yield* messageOf({ [variable]: "x".repeat(31) }), short)
      const word = "the admin token must be one word of ASCII characters: no client can send it otherwise"
      for (const odd of [`${"x".repeat(20)} ${"x".repeat(20)}`, "é".repeat(40)]) {
        assert.strictEqual(yield* messageOf({ [variable]: odd }), word)
      }
      assert.strictEqual(
        yield* messageOf({}, "/nonexistent/token"),
        "the admin token file /nonexistent/token cannot be read: there is no such file"
      )
    })
  )

  it.effect("a file that other users can access is refused, with the command that fixes it", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const file = yield* fs.makeTempFileScoped()
      yield* fs.writeFileString(file, token)
      for (const mode of [0o640, 0o604, 0o620, 0o602, 0o610]) {
        yield* fs.chmod(file, mode)
        const { message } = yield* Effect.flip(load({}, Option.some(file)))
        assert.strictEqual(message, `the admin token file ${file} is accessible to other users; run: chmod 600 ${file}`)
      }
      for (const mode of [0o600, 0o400]) {
        yield* fs.chmod(file, mode)
        assert.strictEqual(Redacted.value(yield* load({}, Option.some(file))), token)
      }
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )
})
