import { assert, describe, it } from "@effect/vitest"
import { DateTime, Deferred, Effect, Exit, Fiber, Redacted } from "effect"
import { Forge, ForgeClient, type Session, SessionInfo, Upload } from "../src/index.ts"
import { answers, conversation, failing } from "./support/Conversation.ts"
import { layer } from "./support/MemoryServer.ts"
import { created, type Script, ScriptedServer, turn, wellBehaved } from "./support/ScriptedServer.ts"

const id = SessionInfo.sessionId

const row = {
  session_id: "s-1",
  agent: "demo",
  cwd: "/w/1",
  created_at: 1_700_000_000,
  last_turn_at: null,
  turn_count: 3,
  closed_at: null,
  meta: null,
  model: "opus"
}

const at = (seconds: number) => DateTime.makeUnsafe(seconds * 1000)

const requests = (method: string, path: RegExp = /.*/) =>
  ScriptedServer.useSync(({ received }) => received.filter((one) => one.method === method && path.test(one.path)))

const deletes = Effect.map(requests("DELETE"), (all) => all.map(({ path }) => path))
const prompts = Effect.map(requests("POST", /turn$/), (all) => all.map(({ body }): string => JSON.parse(body).prompt))

/** A server that holds one turn until it is released. */
const held = () => {
  const release = Deferred.makeUnsafe<void>()
  const script: Script = async (request, nth) => {
    if (!request.path.endsWith("/turn")) return wellBehavedOnce(request, nth)
    const { prompt } = JSON.parse(request.body) as { prompt: string }
    if (prompt === "held") await Effect.runPromise(Deferred.await(release))
    return { json: turn(/s-\d+/.exec(request.path)?.[0] ?? "", 1, prompt) }
  }
  const wellBehavedOnce = wellBehaved()
  return { script, release: Deferred.succeed(release, undefined) }
}

const open = Forge.session({ agent: "demo" })

describe("seed: sessions", () => {
  it.effect("Forge.withSession closes its session on success", () =>
    Effect.gen(function* () {
      const text = yield* Forge.withSession({ agent: "demo" }, (session) =>
        Effect.map(session.turn("hello"), (turn) => turn.text)
      )
      assert.strictEqual(text, "hello")
      assert.deepStrictEqual(yield* conversation, [
        `POST /sessions {"agent":"demo"}`,
        `POST /sessions/s-1/turn {"prompt":"hello","timeout_secs":120}`,
        "DELETE /sessions/s-1"
      ])
    }).pipe(Effect.provide(layer(wellBehaved())))
  )

  it.effect("Forge.withSession closes its session on failure, and fails with the program's own error", () =>
    Effect.gen(function* () {
      const { error, sent } = yield* failing(Forge.withSession({ agent: "demo" }, () => Effect.fail("own failure")))
      assert.strictEqual(error, "own failure")
      assert.deepStrictEqual(sent, [`POST /sessions {"agent":"demo"}`, "DELETE /sessions/s-1"])
    }).pipe(Effect.provide(layer(wellBehaved())))
  )

  it.effect("Forge.session sends the agent and the given options, and nothing else", () =>
    Effect.gen(function* () {
      const meta = { caller: "billing", tags: ["a", null, 1.5, true], nested: { deep: {} } }
      yield* Effect.scoped(Forge.session())
      yield* Effect.scoped(Forge.session({ agent: undefined, model: undefined, meta: undefined }))
      yield* Effect.scoped(Forge.session({ model: "claude-opus-4.5[1m]" }))
      yield* Effect.scoped(Forge.session({ agent: "demo", meta }))
      yield* Effect.scoped(Forge.session({ agent: "demo", meta: {} }))
      const creates = (yield* conversation).filter((line) => line.startsWith("POST"))
      assert.deepStrictEqual(creates, [
        `POST /sessions {"agent":"claude"}`,
        `POST /sessions {"agent":"claude"}`,
        `POST /sessions {"agent":"claude","model":"claude-opus-4.5[1m]"}`,
        `POST /sessions {"agent":"demo","meta":${JSON.stringify(meta)}}`,
        `POST /sessions {"agent":"demo","meta":{}}`
      ])
    }).pipe(Effect.provide(layer(wellBehaved())))
  )

  it.effect("a call sends JSON, a bearer token and an Accept header", () =>
    Effect.gen(function* () {
      yield* Effect.scoped(Forge.session())
      const { received } = yield* ScriptedServer
      assert.deepInclude(received[0]?.headers, {
        authorization: "Bearer cf_test-token",
        "content-type": "application/json",
        accept: "application/json"
      })
    }).pipe(Effect.provide(layer(wellBehaved())))
  )

  it.effect("session.info has what the session was created with", () =>
    Effect.gen(function* () {
      const session = yield* Forge.session({ agent: "demo" })
      assert.deepStrictEqual(session.info, {
        id: id("s-1"),
        agent: "demo",
        createdAt: at(1_700_000_000),
        cwd: "/w/1",
        model: null
      })
    }).pipe(Effect.scoped, Effect.provide(layer(wellBehaved())))
  )

  it.effect("closing twice sends one DELETE", () =>
    Effect.gen(function* () {
      const session = yield* Forge.session()
      yield* session.close
      yield* session.close
      assert.deepStrictEqual(yield* conversation, [`POST /sessions {"agent":"claude"}`, "DELETE /sessions/s-1"])
    }).pipe(Effect.scoped, Effect.provide(layer(wellBehaved())))
  )

  it.effect("already_closed counts as closed", () =>
    Effect.gen(function* () {
      const session = yield* Forge.session()
      yield* session.close
      assert.deepInclude(JSON.parse(JSON.stringify(session)), { status: "Closed" })
    }).pipe(
      Effect.scoped,
      Effect.provide(
        layer(
          answers({
            "POST /sessions": { json: created(1) },
            "DELETE /sessions/s-1": { json: { ok: true, already_closed: true } }
          })
        )
      )
    )
  )

  it.effect("a failed close can be tried again, and the session takes no turn meanwhile", () =>
    Effect.gen(function* () {
      const session = yield* Forge.session()
      assert.deepInclude(yield* Effect.flip(session.close), { _tag: "ApiError", status: 500, message: "disk full" })
      assert.deepInclude(yield* Effect.flip(session.turn("late")), { _tag: "SessionClosed", by: "client" })
      yield* session.close
      yield* session.close
      assert.deepStrictEqual((yield* conversation).slice(1), ["DELETE /sessions/s-1", "DELETE /sessions/s-1"])
    }).pipe(
      Effect.scoped,
      Effect.provide(
        layer(
          answers({
            "POST /sessions": { json: created(1) },
            "DELETE /sessions/s-1": [{ status: 507, json: { detail: "disk full" } }, { json: { ok: true } }]
          }),
          { retry: false }
        )
      )
    )
  )

  it.effect("404 on close means gone, for a session that this handle created", () =>
    Effect.gen(function* () {
      const session = yield* Forge.session()
      yield* session.close
      const borrowed = yield* Forge.attach(id("s-2"))
      const error = yield* Effect.flip(borrowed.close)
      assert.deepInclude(error, { _tag: "ApiError", status: 404, message: "session not found" })
    }).pipe(
      Effect.scoped,
      Effect.provide(
        layer(
          answers({
            "POST /sessions": { json: created(1) },
            "GET /sessions/s-2": { json: { ok: true, ...row, session_id: "s-2", live: true } },
            "DELETE /sessions/s-1": { status: 404, json: { detail: "session not found" } },
            "DELETE /sessions/s-2": { status: 404, json: { detail: "session not found" } }
          })
        )
      )
    )
  )

  it.effect("Forge.attach borrows a session: it sends turns, and does not close it on its own", () =>
    Effect.gen(function* () {
      const session = yield* Forge.attach(id("s-1"))
      assert.deepStrictEqual(session.info, {
        id: id("s-1"),
        agent: "demo",
        createdAt: at(1_700_000_000),
        cwd: "/w/1",
        model: "opus"
      })
      assert.strictEqual((yield* session.turn("hello")).index, 4)
      assert.deepStrictEqual(yield* conversation, [
        "GET /sessions/s-1",
        `POST /sessions/s-1/turn {"prompt":"hello","timeout_secs":120}`
      ])
      yield* session.close
      assert.deepStrictEqual((yield* conversation).slice(2), ["DELETE /sessions/s-1"])
    }).pipe(
      Effect.provide(
        layer(
          answers({
            "GET /sessions/s-1": { json: { ok: true, ...row, live: true } },
            "POST /sessions/s-1/turn": { json: turn("s-1", 4, "hello") },
            "DELETE /sessions/s-1": { json: { ok: true } }
          })
        )
      )
    )
  )
})

describe("Session", () => {
  describe("is closed once, however its scope ends", () => {
    const ends: Record<string, (session: Session.Session) => Effect.Effect<unknown, unknown>> = {
      success: (session) => session.turn("hello"),
      failure: () => Effect.fail("no"),
      defect: () => Effect.die(new Error("a defect")),
      interruption: () => Effect.interrupt
    }
    for (const [name, use] of Object.entries(ends)) {
      it.effect(name, () =>
        Effect.gen(function* () {
          const exit = yield* Effect.exit(Forge.withSession({ agent: "demo" }, use))
          assert.strictEqual(Exit.isSuccess(exit), name === "success")
          assert.deepStrictEqual(yield* deletes, ["/sessions/s-1"])
        }).pipe(Effect.provide(layer(wellBehaved())))
      )
    }

    it.effect("when the client ends before the scope, because it was provided inside it", () =>
      Effect.gen(function* () {
        const { url } = yield* ScriptedServer
        const client = ForgeClient.layer({ url, token: Redacted.make("cf_other") })
        yield* Effect.gen(function* () {
          yield* Effect.provide(open, client)
          assert.deepStrictEqual(yield* deletes, ["/sessions/s-1"])
        }).pipe(Effect.scoped)
        assert.deepStrictEqual(yield* deletes, ["/sessions/s-1"])
      }).pipe(Effect.provide(layer(wellBehaved())))
    )

    it.effect("on interruption of a turn in flight, whose connection is closed", () =>
      Effect.gen(function* () {
        const fiber = yield* Effect.forkChild(Forge.withSession({}, (session) => session.turn("held")))
        const request = yield* ScriptedServer.use(({ arrival }) => arrival(2))
        yield* Fiber.interrupt(fiber)
        yield* Deferred.await(request.aborted)
        assert.deepStrictEqual(yield* deletes, ["/sessions/s-1"])
      }).pipe(Effect.provide(layer(held().script)))
    )
  })

  it.effect("concurrent turns are sent one at a time, in order", () =>
    Effect.gen(function* () {
      const session = yield* open
      const asked = Array.from({ length: 20 }, (_, nth) => `prompt ${nth}`)
      const turns = yield* Effect.forEach(asked, (prompt) => session.turn(prompt), { concurrency: "unbounded" })
      assert.deepStrictEqual(yield* prompts, asked)
      assert.deepStrictEqual(
        turns.map(({ index, text }) => [index, text]),
        asked.map((prompt, nth) => [nth + 1, prompt])
      )
    }).pipe(Effect.scoped, Effect.provide(layer(wellBehaved())))
  )

  describe("close", () => {
    it.effect("sends one DELETE, however often and concurrently it is called, and the scope sends no other", () =>
      Effect.gen(function* () {
        yield* Effect.scoped(
          Effect.gen(function* () {
            const session = yield* open
            yield* Effect.all(
              Array.from({ length: 10 }, () => session.close),
              { concurrency: "unbounded" }
            )
            yield* session.close
          })
        )
        assert.deepStrictEqual(yield* deletes, ["/sessions/s-1"])
      }).pipe(Effect.provide(layer(wellBehaved())))
    )

    it.effect("fails waiting turns at once without sending them, and does not wait for the turn in flight", () =>
      Effect.gen(function* () {
        const session = yield* open
        const first = yield* Effect.forkChild(session.turn("held"))
        yield* ScriptedServer.use(({ arrival }) => arrival(2))
        const waiting = yield* Effect.forkChild(Effect.flip(session.turn("second")), { startImmediately: true })
        yield* session.close
        assert.deepInclude(yield* Fiber.join(waiting), { _tag: "SessionClosed", by: "client" })
        assert.strictEqual(first.pollUnsafe(), undefined)
        assert.deepStrictEqual(yield* prompts, ["held"])
      }).pipe(Effect.scoped, Effect.provide(layer(held().script)))
    )

    it.effect("never fails the program at the end of its scope, nor hides its failure", () => {
      const usual = wellBehaved()
      const script: Script = (request, nth) =>
        request.method === "DELETE" ? { status: 401, json: { detail: "invalid token" } } : usual(request, nth)
      return Effect.gen(function* () {
        assert.strictEqual(yield* Forge.withSession({}, () => Effect.succeed("done")), "done")
        assert.strictEqual(yield* Effect.flip(Forge.withSession({}, () => Effect.fail("own failure"))), "own failure")
      }).pipe(Effect.provide(layer(script)))
    })
  })

  describe("what is sent is what was given, however it is changed afterwards", () => {
    it.effect("the files of a turn that waits for its permit", () => {
      const { release, script } = held()
      return Effect.gen(function* () {
        const session = yield* open
        const files = [Upload.fileToken("ff_first")]
        const ahead = yield* Effect.forkChild(session.turn("held"), { startImmediately: true })
        const waiting = yield* Effect.forkChild(session.turn("waiting", { files }), { startImmediately: true })
        files[0] = Upload.fileToken("ff_second")
        yield* release
        yield* Fiber.joinAll([ahead, waiting])
        const sent = yield* requests("POST", /turn$/)
        assert.deepInclude(JSON.parse(sent[1]?.body ?? ""), { prompt: "waiting", files: ["ff_first"] })
      }).pipe(Effect.scoped, Effect.provide(layer(script)))
    })

    it.live("the options of a session that is tried again", () => {
      const options = { agent: "demo", meta: { n: 1 } }
      const usual = wellBehaved()
      const script: Script = (request, nth) => {
        if (request.path !== "/sessions" || nth > 1) return usual(request, nth)
        options.agent = "other"
        options.meta.n = 2
        return { status: 429, json: { detail: "too many requests" } }
      }
      return Effect.gen(function* () {
        const session = yield* Forge.session(options)
        assert.strictEqual(session.info.agent, "demo")
        const bodies = (yield* requests("POST", /sessions$/)).map(({ body }): unknown => JSON.parse(body))
        assert.deepStrictEqual(bodies, [
          { agent: "demo", meta: { n: 1 } },
          { agent: "demo", meta: { n: 1 } }
        ])
      }).pipe(Effect.scoped, Effect.provide(layer(script, { retry: { pause: 1 } })))
    })
  })
})
