import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Layer, Predicate, Ref, Schema, Stream } from "effect"
import { Chat, LanguageModel, Prompt, Tool, Toolkit } from "effect/ai"
import { TestClock } from "effect/testing"
import { ForgeLanguageModel } from "../../src/ai/index.ts"
import type { TurnEvent } from "../../src/index.ts"
import { ForgeTest } from "../../src/testing/index.ts"

const withModel =
  (script: ForgeTest.Script, options?: ForgeLanguageModel.Options, fake?: Parameters<typeof ForgeTest.layer>[1]) =>
  <A, E>(program: Effect.Effect<A, E, LanguageModel.LanguageModel | ForgeTest.ForgeTest>) =>
    Effect.provide(program, Layer.provideMerge(ForgeLanguageModel.layer(options), ForgeTest.layer(script, fake)))

const prompts = Effect.flatMap(ForgeTest.ForgeTest, ({ prompts }) =>
  Effect.map(prompts, (prompts) => prompts.map(({ prompt }) => prompt))
)

const sessions = Effect.flatMap(ForgeTest.ForgeTest, ({ sessions }) => sessions)

const usage = { inputTokens: 7, cachedTokens: 3, outputTokens: 2, costUsd: 0.5 }

/** What a response says of itself. */
const metadataOf = (content: ReadonlyArray<object>): Readonly<Record<string, unknown>> => {
  const finish = content.find((part) => Predicate.hasProperty(part, "type") && part.type === "finish")
  const metadata = Predicate.hasProperty(finish, "metadata") ? finish.metadata : undefined
  const ours = Predicate.hasProperty(metadata, "clawdforge") ? metadata.clawdforge : undefined
  return Predicate.isObject(ours) ? { ...ours } : {}
}

const call: TurnEvent.TurnEvent = {
  _tag: "ToolCall",
  id: "t1",
  name: "Read",
  status: "completed",
  args: { path: "a.txt" },
  result: "Buy milk."
}

describe("ForgeLanguageModel", () => {
  it.effect("generates text, with what it used and why it ended", () =>
    Effect.gen(function* () {
      const response = yield* LanguageModel.generateText({ prompt: "What is six times seven?" })
      assert.strictEqual(response.text, "42")
      assert.strictEqual(response.reasoningText, "Hm.")
      assert.strictEqual(response.finishReason, "length")
      assert.deepInclude(response.usage.inputTokens, { total: 7, cacheRead: 3, uncached: 4 })
      assert.strictEqual(response.usage.outputTokens.total, 2)
      const [session] = yield* sessions
      const metadata = response.content.find((part) => part.type === "response-metadata")
      assert.deepInclude(metadata, { id: `${session?.id}/1`, modelId: "opus" })
      assert.deepStrictEqual(metadataOf(response.content), { stopReason: "max_tokens", costUsd: 0.5 })
    }).pipe(
      withModel(
        [
          ForgeTest.events(
            [
              { _tag: "Thinking", content: "Hm." },
              { _tag: "Text", content: "42" }
            ],
            { usage, stopReason: "max_tokens" }
          )
        ],
        { session: { agent: "claude", model: "opus" } }
      )
    )
  )

  it.effect("streams text as the agent says it", () =>
    Effect.gen(function* () {
      const parts = yield* Stream.runCollect(LanguageModel.streamText({ prompt: "x" }))
      assert.deepStrictEqual(
        parts.map((part) => ("delta" in part ? part.delta : part.type)),
        ["reasoning-start", "Hm.", "reasoning-end", "text-start", "4", "2", "text-end", "response-metadata", "finish"]
      )
    }).pipe(
      withModel([
        ForgeTest.events([
          { _tag: "Thinking", content: "Hm." },
          { _tag: "Text", content: "4" },
          { _tag: "Text", content: "2" }
        ])
      ])
    )
  )

  const Invoice = Schema.Struct({ total: Schema.Finite, due: Schema.DateTimeUtcFromString })

  it.effect("generates an object by its Schema, and has the agent repair it", () =>
    Effect.gen(function* () {
      const { usage, value } = yield* LanguageModel.generateObject({ schema: Invoice, prompt: "The invoice?" })
      assert.strictEqual(value.total, 42)
      assert.strictEqual(DateTime.formatIso(value.due), "2026-12-24T00:00:00.000Z")
      assert.strictEqual(usage.inputTokens.total, 3)
      assert.lengthOf(yield* prompts, 2)
    }).pipe(
      withModel([
        ForgeTest.text("It is 42.", { usage: { inputTokens: 1 } }),
        ForgeTest.json({ total: 42, due: "2026-12-24T00:00:00Z" }, { usage: { inputTokens: 2 } })
      ])
    )
  )

  it.effect("fails where no answer is an object of the Schema", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(LanguageModel.generateObject({ schema: Invoice, prompt: "The invoice?" }))
      assert.strictEqual(error._tag === "AiError" && error.reason._tag, "StructuredOutputError")
    }).pipe(withModel(["no", "never"], { repairs: 1 }))
  )

  it.effect("goes on in its session with what is new in a chat", () =>
    Effect.gen(function* () {
      const chat = yield* Chat.fromPrompt([{ role: "system", content: "Speak Latin." }])
      yield* chat.generateText({ prompt: "Remember heliotrope." })
      yield* Stream.runDrain(chat.streamText({ prompt: "Which word was it?" }))
      const { content } = yield* chat.generateText({ prompt: "Thank you." })
      assert.deepStrictEqual(yield* prompts, ["Remember heliotrope.", "Which word was it?", "Thank you."])
      assert.lengthOf(yield* sessions, 1)
      const { requests } = yield* ForgeTest.ForgeTest
      const opened = (yield* requests).filter(({ method, path }) => method === "POST" && path === "/sessions")
      assert.deepInclude(opened[0]?.body, { system: "Speak Latin." })
      assert.notProperty(metadataOf(content), "anew")
    }).pipe(withModel(["I do.", "Heliotrope.", "Not at all."]))
  )

  const told = `This is our conversation so far. Answer its last message.

User: Remember heliotrope.

You: one

User: Which word was it?`

  it.effect("begins anew, with all of the chat, where the session has closed or had other turns, and says so", () =>
    Effect.gen(function* () {
      const { closeSession, sessions } = yield* ForgeTest.ForgeTest
      const closed = yield* Chat.empty
      yield* closed.generateText({ prompt: "Remember heliotrope." })
      for (const { id } of yield* sessions) yield* closeSession(id)
      const afterwards = yield* closed.generateText({ prompt: "Which word was it?" })
      assert.deepInclude(metadataOf(afterwards.content), { anew: "its session is closed" })

      const chat = yield* Chat.empty
      yield* chat.generateText({ prompt: "Remember heliotrope." })
      yield* Effect.flip(chat.generateText({ prompt: "Fail." }))
      const retried = yield* chat.generateText({ prompt: "Which word was it?" })
      assert.deepInclude(metadataOf(retried.content), { anew: "its session had other turns since" })
      assert.deepStrictEqual(
        (yield* prompts).filter((prompt) => prompt.includes("Which")),
        [told, told]
      )
    }).pipe(withModel((prompt) => (prompt === "Fail." ? ForgeTest.runFailed("out of paper") : "one")))
  )

  it.effect("a branch of a chat does not go on in the session of the other", () =>
    Effect.gen(function* () {
      const chat = yield* Chat.empty
      yield* chat.generateText({ prompt: "Remember heliotrope." })
      const branch = yield* Chat.fromPrompt(yield* Ref.get(chat.history))
      yield* chat.generateText({ prompt: "Which word was it?" })
      const other = yield* branch.generateText({ prompt: "Which word was it?" })
      assert.deepInclude(metadataOf(other.content), { anew: "its session has another branch of the chat" })
      assert.deepStrictEqual(yield* prompts, ["Remember heliotrope.", "Which word was it?", told])
    }).pipe(withModel(() => "one"))
  )

  it.effect("begins anew where the system prompt has changed, or the chat comes from elsewhere", () =>
    Effect.gen(function* () {
      const chat = yield* Chat.empty
      yield* chat.generateText({ prompt: "Remember heliotrope." })
      const changed = yield* chat.generateText({
        prompt: [
          { role: "system", content: "Answer in French." },
          { role: "user", content: [Prompt.makePart("text", { text: "Which word was it?" })] }
        ]
      })
      assert.deepInclude(metadataOf(changed.content), { anew: "its system prompt has changed" })
      const handed = yield* Effect.flatMap(ForgeTest.ForgeTest, ({ prompts }) => prompts)
      assert.deepInclude(handed[1]?.session.system, { text: "Answer in French." })
      assert.strictEqual(handed[1]?.prompt, told)

      const again = yield* chat.generateText({ prompt: "And now?" })
      assert.notProperty(metadataOf(again.content), "anew")

      const restored = yield* Chat.fromJson(yield* chat.exportJson)
      const elsewhere = yield* restored.generateText({ prompt: "Which word was it?" })
      assert.deepInclude(metadataOf(elsewhere.content), { anew: "its session is not known" })
    }).pipe(withModel(() => "one"))
  )

  it.effect("begins anew where the server has forgotten the session, or closes it before the turn", () =>
    Effect.gen(function* () {
      const { failNext, prompts } = yield* ForgeTest.ForgeTest
      const chat = yield* Chat.empty
      yield* chat.generateText({ prompt: "Remember heliotrope." })
      yield* failNext(ForgeTest.notFound, { method: "GET", path: "/sessions/" })
      const forgotten = yield* chat.generateText({ prompt: "Which word was it?" })
      assert.deepInclude(metadataOf(forgotten.content), { anew: "its session is closed" })
      const closed = yield* chat.generateText({ prompt: "Close." })
      assert.deepInclude(metadataOf(closed.content), { anew: "its session is closed" })
      const handed = (yield* prompts).map(({ prompt }) => prompt)
      assert.lengthOf(handed, 3)
      assert.isTrue(handed[2]?.endsWith("User: Close."))
    }).pipe(withModel((prompt) => (prompt === "Close." ? ForgeTest.sessionClosed : "one")))
  )

  it.effect("asks one thing after the other for as long as it likes, whatever room the server has", () =>
    Effect.gen(function* () {
      for (const prompt of ["1", "2", "3", "4", "5"]) {
        assert.strictEqual((yield* LanguageModel.generateText({ prompt })).text, prompt)
      }
      const { requests } = yield* ForgeTest.ForgeTest
      const refused = (yield* requests).filter(({ status }) => status === 503)
      assert.lengthOf(refused, 1)
      assert.lengthOf(
        (yield* sessions).filter(({ closedAt }) => closedAt === null),
        2
      )
    }).pipe(withModel((prompt) => prompt, {}, { maxOpenSessions: 2, client: { retry: false } }))
  )

  it.effect("two calls of one chat at once are not in one session", () =>
    Effect.gen(function* () {
      const chat = yield* Chat.empty
      yield* chat.generateText({ prompt: "Remember heliotrope." })
      const history = yield* Ref.get(chat.history)
      const ask = LanguageModel.generateText({ prompt: Prompt.concat(history, Prompt.make("Which word was it?")) })
      const both = yield* Effect.all([ask, ask], { concurrency: 2 })
      const anew = both.map(({ content }) => metadataOf(content)["anew"])
      assert.sameMembers(anew, [undefined, "its session is busy with another call"])
      assert.lengthOf(yield* sessions, 2)
    }).pipe(withModel(["one", "two"]))
  )

  const Read = Tool.providerDefined({
    id: "clawdforge.read",
    customName: "ReadFile",
    providerName: "Read",
    args: Schema.Struct({}),
    parameters: Schema.Struct({ path: Schema.String }),
    success: Schema.String,
    failure: Schema.String
  })({})

  it.effect("the agent's calls of tools are parts where the toolkit declares them, else metadata", () =>
    Effect.gen(function* () {
      const toolkit = Toolkit.make(Read)
      const declared = yield* LanguageModel.generateText({ prompt: "x", toolkit })
      assert.deepInclude(declared.toolCalls[0], { name: "ReadFile", params: { path: "a.txt" }, providerExecuted: true })
      assert.deepInclude(declared.toolResults[0], { name: "ReadFile", result: "Buy milk.", isFailure: false })
      const streamed = yield* Stream.runCollect(LanguageModel.streamText({ prompt: "x", toolkit }))
      assert.deepStrictEqual(
        streamed.map(({ type }) => type).filter((type) => type.startsWith("tool")),
        ["tool-call", "tool-result"]
      )
      const { content, toolCalls } = yield* LanguageModel.generateText({ prompt: "x" })
      assert.lengthOf(toolCalls, 0)
      const calls = [metadataOf(content)["toolCalls"]].flat()
      assert.deepInclude(calls[0], { name: "Read", status: "completed", result: "Buy milk." })
    }).pipe(withModel([ForgeTest.events([call, { _tag: "Text", content: "Milk." }])]))
  )

  const { status: _status, result: _result, ...begun } = call
  const calls: Readonly<Record<string, readonly [ReadonlyArray<TurnEvent.TurnEvent>, number]>> = {
    "one that ends": [[{ ...begun, status: "in_progress" }, call], 1],
    "one that ends twice": [[call, call], 1],
    "one that fails": [[{ ...call, status: "failed" }], 1],
    "one without an end": [[{ ...begun, status: "in_progress", result: "Not yet." }], 1],
    "one without a status": [[{ ...begun, result: "Buy milk." }], 1],
    "one without a result": [[{ ...begun, status: "completed" }], 0],
    "one with other parameters": [[{ ...call, args: { file: "a.txt" } }], 0]
  }
  for (const [name, [events, parts]] of Object.entries(calls)) {
    it.effect(`a call of a tool is a part once, or else metadata, of a text and of a stream: ${name}`, () =>
      Effect.gen(function* () {
        const toolkit = Toolkit.make(Read)
        const { content } = yield* LanguageModel.generateText({ prompt: "x", toolkit })
        const streamed = yield* Stream.runCollect(LanguageModel.streamText({ prompt: "x", toolkit }))
        for (const all of [content, streamed]) {
          assert.lengthOf(
            all.filter(({ type }) => type === "tool-call"),
            parts
          )
          assert.lengthOf(
            all.filter(({ type }) => type === "tool-result"),
            parts
          )
          assert.lengthOf([metadataOf(all)["toolCalls"] ?? []].flat(), 1 - parts)
        }
      }).pipe(withModel([ForgeTest.events([...events, { _tag: "Text", content: "Milk." }])]))
    )
  }

  it.effect("what an agent cannot do fails in one sentence, before anything is sent", () =>
    Effect.gen(function* () {
      const Add = Tool.make("Add", { parameters: Schema.Struct({ a: Schema.Finite }), success: Schema.Finite })
      const toolkit = Toolkit.make(Add)
      const handlers = toolkit.toLayer({ Add: ({ a }) => Effect.succeed(a) })
      const tool = yield* LanguageModel.generateText({ prompt: "x", toolkit }).pipe(
        Effect.provide(handlers),
        Effect.flip
      )
      assert.include(tool.message, "an agent calls tools of its own, and none of the program")
      const file = Prompt.make([
        {
          role: "user",
          content: [Prompt.makePart("file", { mediaType: "image/png", data: new URL("http://localhost/a.png") })]
        }
      ])
      for (const toolChoice of ["none", "required"] as const) {
        const chosen = yield* Effect.flip(
          LanguageModel.generateText({ prompt: "x", toolkit: Toolkit.make(Read), toolChoice })
        )
        assert.include(String(chosen), "an agent decides itself which of its tools it calls")
      }
      const url = yield* Effect.flip(LanguageModel.generateText({ prompt: file }))
      assert.include(url.message, "an agent takes files as bytes or Base64, not by their address")
      const { requests } = yield* ForgeTest.ForgeTest
      assert.lengthOf(yield* requests, 0)
    }).pipe(withModel([]))
  )

  it.effect("uploads the files of a prompt", () =>
    Effect.gen(function* () {
      const { text } = yield* LanguageModel.generateText({
        prompt: [
          {
            role: "user",
            content: [
              Prompt.makePart("text", { text: "What is on the list?" }),
              Prompt.makePart("file", {
                mediaType: "text/plain",
                fileName: "list.txt",
                data: new TextEncoder().encode("milk")
              }),
              Prompt.makePart("file", { mediaType: "image/png", data: btoa("png") })
            ]
          }
        ]
      })
      assert.strictEqual(text, "What is on the list? list.txt: milk, file-2.png: png")
    }).pipe(
      withModel(
        (prompt, { files }) =>
          `${prompt} ${files.map(({ content, name }) => `${name}: ${new TextDecoder().decode(content)}`).join(", ")}`
      )
    )
  )

  for (const [name, reply, reason, retryable] of [
    ["the agent's failure", ForgeTest.runFailed("out of paper"), "UnknownError", false],
    ["a token that is not valid", ForgeTest.unauthorized, "AuthenticationError", false],
    ["too much at once", ForgeTest.tooMany, "RateLimitError", true],
    ["a full server", ForgeTest.poolFull, "InternalProviderError", true],
    ["a connection that broke", ForgeTest.reset, "UnknownError", false],
    ["an input that is not valid", ForgeTest.invalid("prompt", "must be polite"), "InvalidRequestError", false]
  ] as const) {
    it.effect(`fails with an AiError, which is retryable only where the agent has done nothing: ${name}`, () =>
      Effect.gen(function* () {
        for (const failing of [
          LanguageModel.generateText({ prompt: "x" }),
          Stream.runDrain(LanguageModel.streamText({ prompt: "x" }))
        ]) {
          const error = yield* Effect.flip(failing)
          assert.deepStrictEqual(
            [error.reason._tag, error.isRetryable, error.module],
            [reason, retryable, "ForgeLanguageModel"]
          )
        }
      }).pipe(withModel([reply], {}, { client: { retry: false } }))
    )
  }

  it.effect("closes a session that no call has gone on in for a while", () =>
    Effect.gen(function* () {
      yield* LanguageModel.generateText({ prompt: "x" })
      assert.isNull((yield* sessions)[0]?.closedAt)
      yield* TestClock.adjust("6 minutes")
      assert.isNotNull((yield* sessions)[0]?.closedAt)
    }).pipe(withModel(["42"], { idleTimeToLive: "5 minutes" }))
  )
})
