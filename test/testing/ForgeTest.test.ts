import { assert, describe, it } from "@effect/vitest"
import { Cause, Duration, Effect, Exit, Fiber, Layer, Option, Redacted, Schema, Stream } from "effect"
import { HttpClient } from "effect/http"
import { TestClock } from "effect/testing"
import { Conversations, Forge, ForgeAdmin, type ForgeClient, Turn, Upload } from "../../src/index.ts"
import { ForgeTest } from "../../src/testing/index.ts"
import { inspect } from "node:util"

/** Runs a program on the fake to its end, whatever time it takes. */
const onFake = <A, E>(
  program: Effect.Effect<A, E, ForgeClient.ForgeClient | ForgeTest.ForgeTest>,
  script: ForgeTest.Script,
  options?: Parameters<typeof ForgeTest.layer>[1]
) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(program)
    yield* TestClock.adjust("1 day").pipe(Effect.repeat({ until: () => fiber.pollUnsafe() !== undefined }))
    return yield* Fiber.join(fiber)
  }).pipe(Effect.provide(ForgeTest.layer(script, options)))

const ask = (prompt: string, options?: Turn.TurnOptions) =>
  Forge.withSession({ agent: "claude" }, (session) => session.turn(prompt, options))

describe("ForgeTest", () => {
  it.effect("plays a list of replies to each session anew, as turns and as streams", () =>
    Effect.gen(function* () {
      const talk = Effect.scoped(
        Effect.gen(function* () {
          const session = yield* Forge.session({ agent: "claude" })
          const first = yield* session.turn("What is six times seven?")
          const second = yield* session.stream("And eight?").pipe(Turn.texts, Stream.runCollect)
          return [first.text, ...second]
        })
      )
      assert.deepStrictEqual(yield* talk, ["42", "forty-eight, I think, ", "or was it ", "fifty-six?"])
      assert.strictEqual((yield* talk)[0], "42")
    }).pipe(Effect.provide(ForgeTest.layer(["42", "forty-eight, I think, or was it fifty-six?"])))
  )

  it.effect("a script sees the session, its earlier turns and its files", () =>
    Effect.gen(function* () {
      const file = yield* Forge.upload(Upload.fromBytes("notes.txt", new TextEncoder().encode("Buy milk.")))
      const session = yield* Forge.session({ agent: "claude", effort: "high", meta: { user: "u1" } })
      yield* session.turn("one")
      const { text } = yield* session.turn("two", { files: [file.token] })
      assert.strictEqual(text, 'two of {"user":"u1"}, high, after ["one: 1"], with notes.txt: Buy milk.')
      const test = yield* ForgeTest.ForgeTest
      const prompts = yield* test.prompts
      assert.deepStrictEqual(
        prompts.map(({ prompt, session }) => [prompt, session.agent]),
        [
          ["one", "claude"],
          ["two", "claude"]
        ]
      )
    }).pipe(
      Effect.scoped,
      Effect.provide(
        ForgeTest.layer((prompt, { files, history, session }) => {
          if (history.length === 0) return "1"
          const past = JSON.stringify(history.map(({ prompt, text }) => `${prompt}: ${text}`))
          const read = files.map(({ content, name }) => `${name}: ${new TextDecoder().decode(content)}`).join()
          return `${prompt} of ${JSON.stringify(session.meta)}, ${session.effort}, after ${past}, with ${read}`
        })
      )
    )
  )

  it.effect("a prompt after the last reply is a defect that shows it", () =>
    Effect.gen(function* () {
      const session = yield* Forge.session({ agent: "claude" })
      yield* session.turn("one")
      const exit = yield* Effect.exit(session.turn("two"))
      assert.isTrue(Exit.hasDies(exit))
      const text = Exit.isFailure(exit) ? Cause.pretty(exit.cause) : ""
      assert.include(text, `the script has 1 reply, and prompt 2 of session ${session.id} is "two"`)
    }).pipe(Effect.scoped, Effect.provide(ForgeTest.layer(["42"])))
  )

  it.effect("answers in its own time, which a turn may not have", () =>
    Effect.gen(function* () {
      const test = yield* ForgeTest.ForgeTest
      const slow = yield* Effect.forkChild(ask("x", { timeout: "1 minute" }))
      yield* test.awaitPrompts(1)
      yield* TestClock.adjust("20 seconds")
      assert.strictEqual((yield* Fiber.join(slow)).duration.pipe(Duration.toSeconds), 20)
      const late = yield* Effect.forkChild(Effect.flip(ask("y", { timeout: "10 seconds" })))
      yield* test.awaitPrompts(2)
      yield* TestClock.adjust("10 seconds")
      const error = yield* Fiber.join(late)
      assert.strictEqual(error.message, "Agent claude did not finish the turn within 10s.")
    }).pipe(Effect.provide(ForgeTest.layer([ForgeTest.text("at last", { delay: "20 seconds" })])))
  )

  const failures = {
    runFailed: [ForgeTest.runFailed("out of paper"), 502, "Agent claude failed the turn: out of paper"],
    invalid: [ForgeTest.invalid("prompt", "must be polite"), 422, "body.prompt: must be polite"],
    notFound: [ForgeTest.notFound, 404, "session not found"],
    unauthorized: [ForgeTest.unauthorized, 401, "invalid token"],
    poolFull: [ForgeTest.poolFull, 503, "session pool is full"],
    tooMany: [ForgeTest.tooMany, 429, "too many requests"],
    shuttingDown: [ForgeTest.shuttingDown, 503, "shutting down"]
  } as const
  for (const [name, [reply, status, message]] of Object.entries(failures)) {
    it.effect(`fails as the server does: ${name}`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(ask("x"))
        assert.strictEqual(error.message, message)
        assert.isTrue("status" in error && error.status === status)
      }).pipe(Effect.provide(ForgeTest.layer([reply], { client: { retry: false } })))
    )
  }

  it.effect("a session that the server closes is closed for every call", () =>
    Effect.gen(function* () {
      const session = yield* Forge.session({ agent: "claude" })
      assert.strictEqual((yield* Effect.flip(session.turn("x")))._tag, "SessionClosed")
      assert.strictEqual(yield* session.closed, "server")
      const { sessions } = yield* ForgeTest.ForgeTest
      assert.isNotNull((yield* sessions)[0]?.closedAt)
    }).pipe(Effect.scoped, Effect.provide(ForgeTest.layer([ForgeTest.sessionClosed])))
  )

  it.effect("is refused, cut and kept waiting as by a network, and each prompt is answered once", () => {
    const text = "one two three four five six seven eight nine ten"
    const failures = [
      ForgeTest.reset,
      ForgeTest.poolFull,
      ForgeTest.proxy(504),
      ForgeTest.resetAt(40, ForgeTest.text(text))
    ]
    return Effect.gen(function* () {
      for (const failure of failures) assert.strictEqual((yield* onFake(ask("x"), [failure, text])).text, text)
      const test = Effect.flatMap(ForgeTest.ForgeTest, ({ prompts }) => prompts)
      const proxied = [ForgeTest.proxy(504, ForgeTest.text(text, { delay: "1 minute" }))]
      const [turn, prompts] = yield* onFake(Effect.all([ask("x"), test]), proxied)
      assert.strictEqual(turn.text, text)
      assert.lengthOf(prompts, 1)
    })
  })

  it.effect("gives a stream cut at any byte as if it were whole", () =>
    Effect.gen(function* () {
      const text = "Hällo, wörld: 42"
      for (let byte = 0; byte < 320; byte += 7) {
        const read = Forge.withSession({ agent: "claude" }, (session) =>
          session.stream("x").pipe(Turn.texts, Stream.mkString)
        )
        assert.strictEqual(yield* onFake(read, [ForgeTest.resetAt(byte, ForgeTest.text(text))]), text, `at ${byte}`)
      }
    })
  )

  it.effect("is silent for as long as the client waits", () =>
    Effect.gen(function* () {
      const asking = Effect.flip(ask("x", { timeout: "10 seconds" }))
      const error = yield* onFake(asking, [ForgeTest.hang], { client: { retry: false } })
      assert.strictEqual(error._tag === "TransportError" && error.reason._tag, "Timeout")
    })
  )

  it.effect("any request can be made to fail", () =>
    Effect.gen(function* () {
      const test = yield* ForgeTest.ForgeTest
      yield* test.failNext(ForgeTest.poolFull, { method: "POST", path: "/sessions" })
      yield* test.failNext(ForgeTest.status(413, { detail: "request too large" }), { path: "/files" })
      const full = yield* Effect.flip(ask("x"))
      assert.strictEqual(full._tag === "ApiError" && full.reason._tag, "PoolFull")
      const large = yield* Effect.flip(Forge.upload(Upload.fromBytes("a", new Uint8Array(1))))
      assert.strictEqual(large._tag === "ApiError" && large.reason._tag, "TooLarge")
      assert.strictEqual((yield* ask("x")).text, "42")
    }).pipe(Effect.provide(ForgeTest.layer(["42"], { client: { retry: false } })))
  )

  it.effect("closes idle sessions and forgets closed ones by the test's clock", () =>
    Effect.gen(function* () {
      const session = yield* Forge.session({ agent: "claude" })
      yield* session.turn("x")
      yield* TestClock.adjust("62 minutes")
      assert.strictEqual((yield* Effect.flip(session.turn("y")))._tag, "SessionClosed")
      const { sessions } = yield* ForgeTest.ForgeTest
      assert.lengthOf(yield* sessions, 1)
      yield* TestClock.adjust("25 hours")
      assert.lengthOf(yield* sessions, 0)
    }).pipe(Effect.scoped, Effect.provide(ForgeTest.layer(["42"])))
  )

  it.effect("has the server's limits", () =>
    Effect.gen(function* () {
      yield* Forge.session({ agent: "claude" })
      const error = yield* Effect.flip(Forge.session({ agent: "claude" }))
      assert.strictEqual(error._tag === "ApiError" && error.reason._tag, "PoolFull")
      const unknown = yield* Effect.flip(Forge.session({ agent: "gemini" }))
      assert.strictEqual(unknown.message, "body.agent: no agent of this name: the server has claude, demo")
    }).pipe(Effect.scoped, Effect.provide(ForgeTest.layer([], { maxOpenSessions: 1, client: { retry: false } })))
  )

  describe("a prompt that no agent gets takes no reply", () => {
    const inOrder =
      (count: number) =>
      (prompt: string, { history }: ForgeTest.ScriptContext) =>
        ForgeTest.text(`${prompt} ${history.length} of ${count}`, { delay: "1 second" })
    const prompts = Effect.flatMap(ForgeTest.ForgeTest, (test) => test.prompts)
    const asked = Effect.map(prompts, (all) => all.map(({ prompt }) => prompt))

    it.effect("a second run where one may run", () =>
      onFake(
        Effect.gen(function* () {
          const runs = yield* Effect.all([Forge.run("a"), Forge.run("b")], { concurrency: 2 })
          assert.sameMembers(
            runs.map(({ result }) => result),
            ["A", "B"]
          )
          assert.sameMembers(yield* asked, ["a", "b"])
        }),
        [ForgeTest.text("A", { delay: "1 second" }), ForgeTest.text("B")],
        { maxRuns: 1 }
      )
    )

    it.effect("a turn of an app with as many as it may have", () =>
      onFake(
        Effect.gen(function* () {
          const [a, b] = yield* Effect.all([ask("a"), ask("b")], { concurrency: 2 })
          assert.deepStrictEqual([a?.text, b?.text], ["a 0 of 1", "b 0 of 1"])
          assert.sameMembers(yield* asked, ["a", "b"])
        }),
        inOrder(1),
        { maxAppTurns: 1 }
      )
    )

    it.effect("a run with another agent, a refused model, an agent that cannot start", () =>
      onFake(
        Effect.gen(function* () {
          const statuses = yield* Effect.forEach(
            [{ agent: "nope" }, { agent: "demo", model: "none" }, { agent: "broken" }],
            (options) =>
              Effect.map(Effect.flip(Forge.run("x", options)), (error) => error._tag === "ApiError" && error.status)
          )
          assert.deepStrictEqual(statuses, [422, 422, 502])
          assert.deepStrictEqual(yield* asked, [])
          assert.strictEqual((yield* Forge.run("x", { agent: "demo" })).result, "A")
        }),
        ["A"],
        {
          agents: [
            { name: "demo", models: ["one"] },
            { name: "broken", broken: "it is not installed" }
          ]
        }
      )
    )

    const twoTurns = Effect.gen(function* () {
      const test = yield* ForgeTest.ForgeTest
      const session = yield* Forge.session({ agent: "claude" })
      const other = yield* Forge.attach(session.id)
      const first = yield* Effect.forkChild(session.turn("a"), { startImmediately: true })
      yield* test.awaitPrompts(1)
      const second = yield* Effect.forkChild(Effect.flip(other.turn("b")), { startImmediately: true })
      yield* test.awaitRequests(4)
      return { first, second, other }
    })

    it.effect("a turn that is given up while another runs", () =>
      Effect.gen(function* () {
        const { first, other, second } = yield* twoTurns
        yield* Fiber.interrupt(second)
        yield* TestClock.adjust("1 minute")
        assert.strictEqual((yield* Fiber.join(first)).text, "A")
        assert.strictEqual((yield* other.turn("c")).text, "B")
        assert.deepStrictEqual(yield* asked, ["a", "c"])
      }).pipe(Effect.scoped, Effect.provide(ForgeTest.layer([ForgeTest.text("A", { delay: "1 minute" }), "B"])))
    )

    for (const [name, reply, message] of [
      ["a failure of the server's", ForgeTest.tooMany, "too many requests"],
      ["a page of a proxy", ForgeTest.proxy(504), "broke before the answer was whole"],
      ["a broken connection", ForgeTest.reset, "broke before the answer was whole"]
    ] as const) {
      it.effect(`a turn that waited for longer than its stream may be silent gets it late: ${name}`, () =>
        Effect.gen(function* () {
          const { first, second } = yield* twoTurns
          yield* TestClock.adjust("1 minute")
          assert.strictEqual((yield* Fiber.join(first)).text, "A")
          assert.include((yield* Fiber.join(second)).message, message)
          assert.deepStrictEqual(yield* asked, ["a"])
        }).pipe(
          Effect.scoped,
          Effect.provide(
            ForgeTest.layer([ForgeTest.text("A", { delay: "1 minute" }), reply], {
              keepAlive: "5 seconds",
              client: { retry: false }
            })
          )
        )
      )
    }

    it.effect("a run has no session to close", () =>
      Effect.gen(function* () {
        const exit = yield* Effect.exit(Forge.run("x"))
        assert.include(Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "", "`sessionClosed` is a reply to a turn")
      }).pipe(Effect.provide(ForgeTest.layer([ForgeTest.sessionClosed])))
    )
  })

  it.effect("has workspaces by name, mode and ref", () =>
    Effect.gen(function* () {
      const session = yield* Forge.session({ agent: "claude", workspace: { name: "shop", ref: "main" } })
      assert.strictEqual((yield* session.turn("x")).text, '{"name":"shop","mode":"clone"}')
      const unknown = yield* Effect.flip(Forge.session({ agent: "claude", workspace: { name: "shop", ref: "none" } }))
      assert.strictEqual(unknown.message, "body.workspace.ref: the workspace has no branch, tag or commit of this name")
    }).pipe(
      Effect.scoped,
      Effect.provide(
        ForgeTest.layer((_, { session }) => JSON.stringify(session.workspace), {
          workspaces: [{ name: "shop", refs: ["main"] }]
        })
      )
    )
  )

  it.effect("a workspace is not asked of a server that has none", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Forge.session({ agent: "claude", workspace: { name: "shop" } }))
      assert.deepInclude(error, {
        status: 422,
        outcome: "not-sent",
        message: "workspace is not supported by this server"
      })
      const wrong = yield* Effect.flip(Forge.session({ agent: "claude", workspace: { name: "../shop" } }))
      assert.strictEqual(wrong.message, "workspace.name must be 1 to 64 lower-case letters, digits, _ or -")
    }).pipe(Effect.scoped, Effect.provide(ForgeTest.layer([])))
  )

  it.effect("gives MCP servers to agents, whose headers are in no error", () =>
    Effect.gen(function* () {
      const headers = { authorization: Redacted.make("Bearer canary-header") }
      const docs = { name: "docs", url: "http://mcp.test/docs", headers }
      const session = yield* Forge.session({ agent: "claude", mcpServers: [docs] })
      assert.strictEqual((yield* session.turn("x")).text, "docs authorization")
      for (const [server, message] of [
        [
          { ...docs, url: "http://other.test/canary-header" },
          "must be of a host that the server's operator allows for MCP"
        ],
        [{ ...docs, name: "" }, "mcpServers.0.name must be 1 to 64 letters, digits, _ or -"]
      ] as const) {
        const error = yield* Effect.flip(Forge.session({ agent: "claude", mcpServers: [server] }))
        assert.include(error.message, message)
        assert.notInclude(inspect(error, { depth: 9 }) + JSON.stringify(error), "Bearer canary-header")
      }
    }).pipe(
      Effect.scoped,
      Effect.provide(
        ForgeTest.layer(
          (_, { session: { mcpServers } }) =>
            mcpServers.map(({ headers = {}, name }) => `${name} ${Object.keys(headers).join()}`).join(),
          { mcpHosts: ["mcp.test"] }
        )
      )
    )
  )

  it.effect("records every request, without the token", () =>
    Effect.gen(function* () {
      yield* ask("Remember heliotrope.")
      const { requests, token } = yield* ForgeTest.ForgeTest
      const all = yield* requests
      assert.deepStrictEqual(
        all.map(({ method, status }) => [method, status]),
        [
          ["POST", 200],
          ["POST", 200],
          ["DELETE", 200]
        ]
      )
      assert.deepInclude(all[1]?.body, { prompt: "Remember heliotrope." })
      assert.notInclude(JSON.stringify(all), Redacted.value(token))
    }).pipe(Effect.provide(ForgeTest.layer(["42"])))
  )

  it.effect("serves runs, structured answers, conversations and lists", () =>
    Effect.gen(function* () {
      const Invoice = Schema.Struct({ total: Schema.Finite })
      class Chats extends Conversations.Service<Chats>()("Chats", {
        lookup: (user: string) => Effect.succeed({ agent: "claude", meta: { user } })
      }) {}
      const invoice = Chats.use("u1", (session) => session.turnAs(Invoice, "The total?"))
      const { attempts, value } = yield* Effect.provide(invoice, Chats.layer)
      assert.deepStrictEqual([value, attempts], [{ total: 42 }, 2])
      assert.deepStrictEqual(
        [(yield* Forge.run("a")).result, (yield* Forge.run("b")).result],
        ["not yet", { total: 42 }]
      )
      assert.lengthOf(yield* Forge.sessions({ meta: { user: "u1" } }), 1)
      assert.deepStrictEqual(
        (yield* Forge.agents).map(({ name }) => name),
        ["claude", "demo"]
      )
    }).pipe(Effect.provide(ForgeTest.layer(["not yet", ForgeTest.json({ total: 42 })])))
  )

  it.effect("leaves the HttpClient of a program alone", () =>
    Effect.gen(function* () {
      assert.isTrue(Option.isNone(yield* Effect.serviceOption(HttpClient.HttpClient)))
    }).pipe(Effect.provide(ForgeTest.layer([])))
  )

  it.effect("has an administration where it has a token for one", () => {
    const adminToken = Redacted.make("operator-token")
    const admin = ForgeAdmin.layer({ url: "http://forge.test", token: adminToken })
    return Effect.gen(function* () {
      const { token } = yield* Effect.flatMap(ForgeAdmin.ForgeAdmin, (admin) => admin.mint("billing"))
      const { url } = yield* ForgeTest.ForgeTest
      const http = yield* HttpClient.HttpClient
      const headers = { authorization: `Bearer ${Redacted.value(token)}` }
      assert.strictEqual((yield* http.get(`${url}/sessions`, { headers })).status, 200)
    }).pipe(Effect.provide(Layer.provideMerge(admin, ForgeTest.layerHttpClient([], { adminToken }))))
  })

  for (const dialect of ["normalised", "nested", "flat"] as const) {
    it.effect(`can be an older server without any feature: ${dialect}`, () =>
      Effect.gen(function* () {
        const session = yield* Forge.session({ agent: "claude" })
        const turn = yield* session.turn("x", { timeout: "2 minutes" })
        assert.strictEqual(turn.text, "forty-two, I think")
        assert.isUndefined(turn.usage)
        const streamed = yield* Turn.run(session.stream("y"))
        assert.deepStrictEqual([streamed.text, streamed.stopReason], ["", "refusal"])
        const options = yield* Effect.flip(Forge.session({ agent: "claude", effort: "high" }))
        assert.strictEqual(options._tag === "ApiError" && options.outcome, "not-sent")
        assert.strictEqual((yield* Forge.health).features.length, 0)
        assert.lengthOf(yield* Forge.sessions(), 1)
        assert.strictEqual((yield* Effect.flip(Forge.agents))._tag, "ApiError")
      }).pipe(
        Effect.scoped,
        Effect.provide(
          ForgeTest.layer(
            [
              ForgeTest.text("forty-two, I think", { usage: { inputTokens: 1 } }),
              ForgeTest.events([], { stopReason: "refusal" })
            ],
            { features: [], dialect, client: { retry: false } }
          )
        )
      )
    )
  }

  it.effect("of an older server a cut call is not known to be answered", () =>
    Effect.gen(function* () {
      const cut = [ForgeTest.resetAt(3, ForgeTest.text("42"))]
      const error = yield* onFake(Effect.flip(ask("x")), cut, { features: [] })
      assert.strictEqual(error._tag === "TransportError" && error.outcome, "unknown")
    })
  )
})
