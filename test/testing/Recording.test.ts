import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, layer } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, FileSystem, Layer, Option, Redacted, Stream } from "effect"
import type { HttpClient } from "effect/http"
import { TestClock } from "effect/testing"
import { Forge, ForgeClient, Turn, Upload } from "../../src/index.ts"
import { ForgeTest } from "../../src/testing/index.ts"

/** A fake whose HttpClient alone is of interest, and its token. */
const fake = (script: ForgeTest.Script) => ForgeTest.layerHttpClient(script)

const client = (token: Redacted.Redacted) => ForgeClient.layer({ url: "http://forge.test", token, retry: false })

/** A program's run on a fake, recorded into a file. */
const recorded = <A, E>(
  file: string,
  script: ForgeTest.Script,
  program: Effect.Effect<A, E, ForgeClient.ForgeClient>,
  redact?: (text: string) => string
) =>
  Effect.gen(function* () {
    const { token } = yield* ForgeTest.ForgeTest
    const recorder = ForgeTest.record({ file, redact })
    return yield* program.pipe(Effect.provide(client(token)), Effect.provide(recorder))
  }).pipe(Effect.provide(fake(script)))

const replayed = <A, E>(
  file: string,
  program: Effect.Effect<A, E, ForgeClient.ForgeClient>,
  redact?: (text: string) => string
) =>
  program.pipe(
    Effect.provide(client(Redacted.make("any-token"))),
    Effect.provide(ForgeTest.replay({ file, redact }) satisfies Layer.Layer<HttpClient.HttpClient, unknown, unknown>)
  )

const newFile = FileSystem.FileSystem.use((fs) => fs.makeTempFileScoped({ suffix: ".jsonl" }))

const talk = (question = "Which one?") =>
  Effect.gen(function* () {
    const file = yield* Forge.upload(Upload.fromBytes("notes.txt", new TextEncoder().encode("heliotrope")))
    const session = yield* Forge.session({ agent: "claude", meta: { user: "u1" } })
    const first = yield* session.turn("Remember it.", { files: [file.token] })
    const parts = yield* Stream.runCollect(session.stream(question))
    const failed = yield* Effect.flip(session.turn("Fail."))
    const state = yield* session.state
    return { first, parts, failed: failed.message, turnCount: state.turnCount }
  }).pipe(Effect.scoped)

const script = ["I do.", "It was heliotrope.", ForgeTest.runFailed("out of paper")]

layer(NodeServices.layer)("a recording", (it) => {
  it.effect("plays what was recorded, without a server", () =>
    Effect.gen(function* () {
      const file = yield* newFile
      const seen = yield* recorded(file, script, talk())
      assert.deepStrictEqual(yield* replayed(file, talk()), seen)
      assert.strictEqual(seen.turnCount, 3)
    })
  )

  it.effect("has no token, and the same placeholder for one wherever it stands", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const file = yield* newFile
      yield* recorded(file, script, talk())
      const text = yield* fs.readFileString(file)
      assert.notMatch(text, /authorization|\bcf_|\bff_(?!recorded-)/i)
      assert.lengthOf(text.match(/ff_recorded-000000000001/g) ?? [], 2)
      assert.notInclude(text, "idempotency-key")
    })
  )

  it.effect("a request that was not recorded is a defect that shows the nearest", () =>
    Effect.gen(function* () {
      const file = yield* newFile
      yield* recorded(file, script, talk())
      const exit = yield* Effect.exit(replayed(file, talk("What was it?")))
      assert.isTrue(Exit.hasDies(exit))
      const message = Exit.isFailure(exit) ? Cause.pretty(exit.cause) : ""
      assert.match(message, /has no answer for POST \/sessions\/[^ ]+\/turn: the nearest is number 4, POST /)
      assert.include(message, 'but body.json.prompt is "What was it?" instead of "Which one?"')
    })
  )

  const ask = Forge.withSession({ agent: "claude" }, (session) => session.turn("The key?"))
  for (const [name, secret] of Object.entries({
    "a key of Anthropic": "sk-ant-api03-abcdefghijklmnop",
    "a token of GitHub": "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
    "a key of AWS": "AKIAABCDEFGHIJKLMNOP",
    "a private key": "-----BEGIN RSA PRIVATE KEY-----"
  })) {
    it.effect(`is not made of an answer with ${name}, unless that is redacted`, () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const file = yield* newFile
        const exit = yield* Effect.exit(recorded(file, [`It is ${secret}.`], ask))
        assert.isTrue(Exit.hasDies(exit))
        assert.include(Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "", "remove it with redact")
        assert.notInclude(yield* fs.readFileString(file), secret)
        const redact = (text: string) => text.replaceAll(secret, "SECRET")
        yield* recorded(file, [ForgeTest.events([{ _tag: "Text", content: `It is ${secret}.` }])], ask, redact)
        assert.strictEqual((yield* replayed(file, ask, redact)).text, "It is SECRET.")
      })
    )
  }

  const secret = "sk-ant-api03-abcdefghijklmnop"
  const text = (content: string) => ({ _tag: "Text", content }) as const
  const upload = (...content: ReadonlyArray<number | string>) =>
    Forge.upload(
      Upload.fromBytes(
        "x.bin",
        Uint8Array.from(
          content.flatMap((part) => (typeof part === "string" ? [...new TextEncoder().encode(part)] : part))
        )
      )
    )
  const turn = (prompt: string) => Forge.withSession({ agent: "claude" }, (session) => session.turn(prompt))
  const toolCall = (result: string) =>
    ({ _tag: "ToolCall", id: "1", name: "cat", status: "completed", result }) as const
  const places: Readonly<
    Record<string, [ForgeTest.Said, (secret: string) => Effect.Effect<unknown, unknown, ForgeClient.ForgeClient>]>
  > = {
    "the line of a prompt": ["ok", (secret) => turn(`A=1\n${secret}`)],
    "JSON in a prompt": ["ok", (secret) => turn(JSON.stringify({ env: `A=1\n${secret}` }))],
    "a system prompt": [
      "ok",
      (secret) => Forge.withSession({ agent: "claude", system: `Key:\t${secret}` }, (session) => session.turn("x"))
    ],
    "the line of an answer": [ForgeTest.events([text(`A=1\n${secret}`)]), () => turn("x")],
    "the words of an answer": [`The key is ${secret}`, () => turn("x")],
    "an answer in pieces": [
      ForgeTest.events([text("sk-ant-"), { _tag: "Thinking", content: "Hm." }, text("api03-abcdefghijklmnop")]),
      () => turn("x")
    ],
    "what a tool returned": [ForgeTest.events([toolCall(`A=1\n${secret}\n`)]), () => turn("x")],
    "the result of a run": [ForgeTest.json({ files: [`\n${secret}`] }), () => Forge.run("x", { transport: "json" })],
    "a file": ["ok", (secret) => upload(`A=1\n${secret}`)],
    "bytes that are no text": ["ok", (secret) => upload(255, 254, `\n${secret}`)]
  }
  for (const [place, [reply, program]] of Object.entries(places)) {
    it.effect(`is not made with a secret in ${place}`, () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const file = yield* newFile
        const exit = yield* Effect.exit(recorded(file, [reply], program(secret)))
        assert.include(Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "", "would have an API key in it")
        assert.notInclude(yield* fs.readFileString(file), secret)
      })
    )
  }

  for (const [place, [, program]] of Object.entries(places)) {
    it.effect(`replaces a token of the contract, and plays it: ${place}`, () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const file = yield* newFile
        const token = "cf_abcdefghijklmnopqrstuvwxyz"
        yield* recorded(file, () => ForgeTest.json({ said: `\n${token}` }), program(token))
        assert.notMatch(yield* fs.readFileString(file), /cf_(?!recorded-\d)|Y2Zf/)
        yield* replayed(file, program(token))
      })
    )
  }

  it.effect("needs for its play what its author removed, and does not show it", () =>
    Effect.gen(function* () {
      const file = yield* newFile
      const redact = (text: string) => text.replaceAll("hunter2", "***")
      yield* recorded(file, ["I see."], turn("My password is hunter2"), redact)
      assert.strictEqual((yield* replayed(file, turn("My password is hunter2"), redact)).text, "I see.")
      const other = yield* Effect.exit(replayed(file, turn("It was hunter2"), redact))
      const message = Exit.isFailure(other) ? Cause.pretty(other.cause) : ""
      assert.include(message, 'body.json.prompt is "It was ***" instead of "My password is ***"')
      assert.notInclude(message, "hunter2")
      assert.include(
        (yield* Effect.flip(replayed(file, turn("My password is hunter2")))).message,
        "it was made with `redact`: give the same function here"
      )
    })
  )

  it.effect("plays a stream whose connection broke, and a turn that was not waited for", () =>
    Effect.gen(function* () {
      const file = yield* newFile
      const reset = ForgeTest.resetAt(120, ForgeTest.text("one two three four five six seven"))
      const broken = Effect.flip(turn("x"))
      const { message } = yield* recorded(file, [reset], broken)
      assert.include(message, "broke before the answer was whole")
      assert.strictEqual((yield* replayed(file, broken)).message, message)
      const asked = yield* Deferred.make<void>()
      const hang = () => Effect.as(Deferred.succeed(asked, undefined), ForgeTest.hang)
      yield* recorded(file, hang, Effect.raceFirst(turn("x"), Deferred.await(asked)))
      const given = TestClock.withLive(Effect.timeoutOption(replayed(file, turn("x")), "200 millis"))
      assert.deepStrictEqual(yield* given, Option.none())
    })
  )

  it.effect("plays a connection that broke, and a stream that was not read to its end", () =>
    Effect.gen(function* () {
      const file = yield* newFile
      const broken = Effect.flip(Forge.run("x"))
      const error = yield* recorded(file, [ForgeTest.reset], broken)
      assert.strictEqual((yield* replayed(file, broken)).message, error.message)
      const first = Forge.withSession({ agent: "claude" }, (session) =>
        session.stream("x", { onInterrupt: "detach" }).pipe(Turn.texts, Stream.take(1), Stream.mkString)
      )
      assert.strictEqual(yield* recorded(file, ["one two three four five six"], first), "one two three ")
      assert.strictEqual(yield* replayed(file, first), "one two three ")
    })
  )

  it.effect("that is none is refused in one sentence", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const file = yield* newFile
      const refused = Effect.flip(replayed(file, ask))
      yield* fs.writeFileString(file, "{}\n")
      assert.include(
        (yield* refused).message,
        `the recording ${file} cannot be played: it does not begin as one of version 1`
      )
      yield* fs.remove(file)
      assert.include((yield* refused).message, `the recording ${file} cannot be played: NotFound`)
      yield* fs.writeFileString(file, "")
    })
  )
})
