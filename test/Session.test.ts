import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Redacted, Scheduler } from "effect"
import { Forge, type ForgeClient, ForgeError, type Session, SessionInfo, Upload } from "../src/index.ts"
import { NodeForgeClient } from "../src/node/index.ts"
import { patience } from "./support/Patience.ts"
import {
  created,
  layer,
  type Received,
  type Script,
  ScriptedServer,
  turn,
  wellBehaved
} from "./support/ScriptedServer.ts"

const requests = (method: string, path: RegExp = /.*/) =>
  ScriptedServer.useSync(({ received }) => received.filter((one) => one.method === method && path.test(one.path)))

const deletes = Effect.map(requests("DELETE"), (all) => all.map(({ path }) => path))
const prompts = Effect.map(requests("POST", /turn$/), (all) => all.map(({ body }): string => JSON.parse(body).prompt))

/** A turn that the server holds until it is told to answer. */
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

describe("Session", () => {
  describe("is closed once, however its scope ends", () => {
    const ends: Record<string, (session: Session.Session) => Effect.Effect<unknown, unknown>> = {
      success: (session) => session.turn("hello"),
      failure: () => Effect.fail("no"),
      defect: () => Effect.die(new Error("a defect")),
      interruption: () => Effect.interrupt
    }
    for (const [name, use] of Object.entries(ends)) {
      it.live(name, () =>
        Effect.gen(function* () {
          const exit = yield* Effect.exit(Forge.withSession({ agent: "demo" }, use))
          assert.strictEqual(Exit.isSuccess(exit), name === "success")
          assert.deepStrictEqual(yield* deletes, ["/sessions/s-1"])
        }).pipe(Effect.provide(layer(wellBehaved())))
      )
    }

    it.live("when the client goes before the scope, because it was provided inside of it", () =>
      Effect.gen(function* () {
        const server = yield* ScriptedServer
        const client = NodeForgeClient.layer({ url: server.url, token: Redacted.make("cf_other") })
        yield* Effect.gen(function* () {
          yield* Effect.provide(open, client)
          assert.deepStrictEqual(yield* deletes, ["/sessions/s-1"])
        }).pipe(Effect.scoped)
        assert.deepStrictEqual(yield* deletes, ["/sessions/s-1"])
      }).pipe(Effect.provide(layer(wellBehaved())))
    )

    it.live("interruption in the middle of a turn, whose connection is closed", () =>
      Effect.gen(function* () {
        const fiber = yield* Effect.forkChild(Forge.withSession({}, (session) => session.turn("held")))
        const request = yield* ScriptedServer.use(({ arrival }) => arrival(2))
        yield* Fiber.interrupt(fiber)
        yield* Deferred.await(request.aborted)
        assert.deepStrictEqual(yield* deletes, ["/sessions/s-1"])
      }).pipe(Effect.provide(layer(held().script)))
    )
  })

  it.live("create sends the agent and what was given, and nothing else", () =>
    Effect.gen(function* () {
      yield* Effect.scoped(Forge.session())
      yield* Effect.scoped(Forge.session({ agent: "demo", model: "opus", meta: { caller: "billing" } }))
      const bodies = yield* requests("POST")
      assert.deepStrictEqual(
        bodies.map(({ body }) => JSON.parse(body)),
        [{ agent: "claude" }, { agent: "demo", model: "opus", meta: { caller: "billing" } }]
      )
    }).pipe(Effect.provide(layer(wellBehaved())))
  )

  it.live("turns asked for at once are sent one at a time, in order", () =>
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

  it.live("a turn is not sent while another is under way, and other sessions do not wait", () => {
    const { release, script } = held()
    return Effect.gen(function* () {
      const [one, other] = yield* Effect.all([open, open])
      const first = yield* Effect.forkChild(one.turn("held"))
      yield* ScriptedServer.use(({ arrival }) => arrival(3))
      const second = yield* Effect.forkChild(one.turn("second"))
      assert.strictEqual((yield* other.turn("elsewhere")).text, "elsewhere")
      assert.deepStrictEqual(yield* prompts, ["held", "elsewhere"])
      yield* release
      yield* Fiber.joinAll([first, second])
      assert.deepStrictEqual(yield* prompts, ["held", "elsewhere", "second"])
    }).pipe(Effect.scoped, Effect.provide(layer(script)))
  })

  describe("close", () => {
    it.live("a turn after it fails without a request", () =>
      Effect.gen(function* () {
        const session = yield* open
        yield* session.close
        const error = yield* Effect.flip(session.turn("late"))
        assert.strictEqual(error._tag, "SessionClosed")
        assert.deepStrictEqual(yield* prompts, [])
      }).pipe(Effect.scoped, Effect.provide(layer(wellBehaved())))
    )

    it.live("twice, or by many at once, is one DELETE; the scope adds none", () =>
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

    it.live("turns that wait fail at once and are not sent; the one under way is not waited for", () =>
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

    it.live("that failed can be tried again, and the session takes no turn meanwhile", () => {
      const usual = wellBehaved()
      let tries = 0
      const script: Script = (request, nth) =>
        request.method === "DELETE" && ++tries === 1
          ? { status: 400, json: { detail: "not now" } }
          : usual(request, nth)
      return Effect.gen(function* () {
        const session = yield* open
        const failed = yield* Effect.flip(session.close)
        assert.strictEqual(failed.message, "not now")
        assert.deepInclude(yield* Effect.flip(session.turn("late")), { _tag: "SessionClosed", by: "client" })
        yield* session.close
        assert.strictEqual((yield* deletes).length, 2)
      }).pipe(Effect.scoped, Effect.provide(layer(script)))
    })

    it.live("of a session that is gone succeeds", () => {
      const usual = wellBehaved()
      const script: Script = (request, nth) =>
        request.method === "DELETE" ? { status: 404, json: { detail: "session not found" } } : usual(request, nth)
      return Effect.gen(function* () {
        const session = yield* open
        yield* session.close
      }).pipe(Effect.scoped, Effect.provide(layer(script)))
    })

    it.live("never fails the program it ends, nor hides how that failed", () => {
      const usual = wellBehaved()
      const script: Script = (request, nth) =>
        request.method === "DELETE" ? { status: 401, json: { detail: "invalid token" } } : usual(request, nth)
      return Effect.gen(function* () {
        assert.strictEqual(yield* Forge.withSession({}, () => Effect.succeed("done")), "done")
        assert.strictEqual(yield* Effect.flip(Forge.withSession({}, () => Effect.fail("own failure"))), "own failure")
      }).pipe(Effect.provide(layer(script)))
    })
  })

  it.live("a 410 closes the handle by the server's doing, and its scope sends nothing", () => {
    const usual = wellBehaved()
    const script: Script = (request, nth) =>
      request.path.endsWith("/turn") ? { status: 410, json: { detail: "session is closed" } } : usual(request, nth)
    return Effect.gen(function* () {
      yield* Effect.scoped(
        Effect.gen(function* () {
          const session = yield* open
          const first = yield* Effect.flip(session.turn("one"))
          const second = yield* Effect.flip(session.turn("two"))
          for (const error of [first, second]) assert.deepInclude(error, { _tag: "SessionClosed", by: "server" })
          assert.deepStrictEqual(yield* prompts, ["one"])
        })
      )
      assert.deepStrictEqual(yield* deletes, [])
    }).pipe(Effect.provide(layer(script)))
  })

  it.live("a 410 of a proxy leaves the session open, and its scope closes it", () => {
    const usual = wellBehaved()
    const script: Script = (request, nth) =>
      request.path.endsWith("/turn") ? { status: 410, text: "<h1>Gone</h1>" } : usual(request, nth)
    return Effect.gen(function* () {
      yield* Effect.scoped(
        Effect.gen(function* () {
          const session = yield* open
          for (const prompt of ["one", "two"]) {
            const error = yield* Effect.flip(session.turn(prompt))
            assert.deepInclude(error, { _tag: "ApiError", status: 410, outcome: "refused" })
            assert.deepInclude("reason" in error ? error.reason : {}, { _tag: "Unexpected", status: 410 })
          }
          assert.deepStrictEqual(yield* prompts, ["one", "two"])
        })
      )
      assert.deepStrictEqual(yield* deletes, ["/sessions/s-1"])
    }).pipe(Effect.provide(layer(script, { retry: false })))
  })

  describe("closed waits for the end, and says which side closed the session", () => {
    const closedBy = (session: Session.Session) =>
      Effect.forkChild(Effect.timeout(session.closed, patience), { startImmediately: true })

    it.live("its own close", () =>
      Effect.gen(function* () {
        const session = yield* open
        const closed = yield* closedBy(session)
        yield* session.turn("hello")
        assert.isUndefined(closed.pollUnsafe())
        yield* session.close
        assert.strictEqual(yield* Fiber.join(closed), "client")
      }).pipe(Effect.scoped, Effect.provide(layer(wellBehaved())))
    )

    it.live("the end of its scope, also where the server cannot be reached then", () => {
      const usual = wellBehaved()
      const script: Script = (request, nth) => (request.method === "DELETE" ? { status: 500 } : usual(request, nth))
      return Effect.gen(function* () {
        const [session, closed] = yield* Effect.scoped(
          Effect.gen(function* () {
            const session = yield* open
            const failed = yield* Effect.flip(session.close)
            assert.strictEqual(failed._tag, "ApiError")
            return [session, yield* closedBy(session)] as const
          })
        )
        assert.strictEqual(yield* Fiber.join(closed), "client")
        assert.strictEqual(yield* session.closed, "client")
      }).pipe(Effect.provide(layer(script, { retry: false })))
    })

    it.live("a turn that finds it closed on the server", () => {
      const usual = wellBehaved()
      const script: Script = (request, nth) =>
        request.path.endsWith("/turn") ? { status: 410, json: { detail: "session is closed" } } : usual(request, nth)
      return Effect.gen(function* () {
        const session = yield* open
        const closed = yield* closedBy(session)
        yield* Effect.flip(session.turn("late"))
        assert.strictEqual(yield* Fiber.join(closed), "server")
      }).pipe(Effect.scoped, Effect.provide(layer(script)))
    })
  })

  it.live("attached after its end says so, and sends no turn", () => {
    const script: Script = () => ({
      json: { ...created(1), turn_count: 3, last_turn_at: 2, closed_at: 2, live: false }
    })
    return Effect.gen(function* () {
      const session = yield* Forge.attach(SessionInfo.sessionId("s-1"))
      assert.include(JSON.stringify(session), '"status":"Closed"')
      assert.deepInclude(yield* Effect.flip(session.turn("late")), { _tag: "SessionClosed", by: "server" })
      assert.strictEqual(yield* session.closed, "server")
      yield* session.close
      assert.strictEqual((yield* session.state).turnCount, 3)
      assert.deepStrictEqual(
        (yield* requests("GET")).length + (yield* requests("POST")).length + (yield* requests("DELETE")).length,
        2
      )
    }).pipe(Effect.provide(layer(script)))
  })

  describe("what is sent is what was given, however it is changed afterwards", () => {
    it.live("the files of a turn that waits for its permit", () => {
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

  it.live("a handle is told of a close by another one as the server tells it", () => {
    const usual = wellBehaved()
    let closed = false
    const script: Script = (request, nth) => {
      if (request.method === "DELETE") closed = true
      if (request.method === "GET") return { json: { ...created(1), turn_count: 0, live: true } }
      return closed && request.path.endsWith("/turn")
        ? { status: 410, json: { detail: "session is closed" } }
        : usual(request, nth)
    }
    return Effect.gen(function* () {
      const owner = yield* open
      const borrower = yield* Forge.attach(owner.id)
      yield* owner.close
      assert.deepInclude(yield* Effect.flip(borrower.turn("late")), { _tag: "SessionClosed", by: "server" })
      assert.deepInclude(yield* Effect.flip(owner.turn("late")), { _tag: "SessionClosed", by: "client" })
    }).pipe(Effect.scoped, Effect.provide(layer(script)))
  })

  describe("bad input is refused before it is sent", () => {
    type Refused = Effect.Effect<unknown, { readonly _tag: string }, ForgeClient.ForgeClient>
    const bad: Record<string, Refused> = {
      "a blank prompt": Forge.withSession({}, (session) => session.turn(" \n\t")),
      "an empty prompt": Forge.withSession({}, (session) => session.turn("")),
      "an agent's name": Effect.scoped(Forge.session({ agent: "no spaces" })),
      "a model's name": Effect.scoped(Forge.session({ model: "-x" }))
    }
    for (const [name, refused] of Object.entries(bad)) {
      it.live(name, () =>
        Effect.gen(function* () {
          const error = yield* Effect.flip(refused)
          assert.isTrue(ForgeError.ApiError.is(422)(error) && error.outcome === "not-sent")
          const sent = yield* requests("POST", name.includes("prompt") ? /turn$/ : /.*/)
          assert.deepStrictEqual(sent, [])
        }).pipe(Effect.provide(layer(wellBehaved())))
      )
    }

    for (const id of ["", "a/../healthz", "a b", "é", "x".repeat(129)]) {
      it.live(`a session id: ${JSON.stringify(id.slice(0, 20))}`, () =>
        Effect.gen(function* () {
          const error = yield* Effect.flip(Forge.attach(id as never))
          assert.deepInclude(error, { _tag: "ApiError", status: 422, outcome: "not-sent" })
          assert.deepStrictEqual(yield* requests("GET"), [])
        }).pipe(Effect.provide(layer(wellBehaved())))
      )
    }
  })

  describe("interrupting Forge.session leaks nothing", () => {
    it.live("it returns at once while the server is silent, and what the server makes is closed later", () => {
      const release = Deferred.makeUnsafe<void>()
      const usual = wellBehaved()
      const script: Script = async (request, nth) => {
        if (request.method === "POST") await Effect.runPromise(Deferred.await(release))
        return usual(request, nth)
      }
      return Effect.gen(function* () {
        const server = yield* ScriptedServer
        const fiber = yield* Effect.forkChild(Effect.scoped(open))
        yield* server.arrival(1)
        yield* Fiber.interrupt(fiber)
        assert.deepStrictEqual(yield* deletes, [])
        yield* Deferred.succeed(release, undefined)
        const closing = yield* server.arrival(2)
        assert.deepInclude(closing, { method: "DELETE", path: "/sessions/s-1" })
      }).pipe(Effect.provide(layer(script)))
    })

    it.live("the client's layer waits for that when it shuts down", () =>
      Effect.gen(function* () {
        const usual = wellBehaved()
        const seen: Array<Received> = []
        const script: Script = (request, nth) => {
          seen.push(request)
          return usual(request, nth)
        }
        yield* Effect.gen(function* () {
          const fiber = yield* Effect.forkChild(Effect.scoped(open))
          yield* ScriptedServer.use(({ arrival }) => arrival(1))
          yield* Fiber.interrupt(fiber)
        }).pipe(Effect.provide(layer(script)))
        assert.deepStrictEqual(
          seen.map(({ method }) => method),
          ["POST", "DELETE"]
        )
      })
    )

    it.live("a swept interrupt at every point: as many closes as sessions made", () =>
      Effect.gen(function* () {
        let made = 0
        const closed = new Set<string>()
        const script: Script = ({ method, path }) => {
          if (method === "DELETE") {
            closed.add(path)
            return { json: { ok: true } }
          }
          return { json: created(++made) }
        }
        const sweep = Effect.gen(function* () {
          for (let budget = 3; budget <= 24; budget++) {
            for (let point = 0; point < 20; point++) {
              const fiber = yield* Effect.forkChild(
                Effect.scoped(open).pipe(Effect.provideService(Scheduler.MaxOpsBeforeYield, budget))
              )
              for (let step = 0; step < point; step++) yield* Effect.yieldNow
              if (point % 4 === 0) yield* Effect.sleep(point / 4)
              yield* Fiber.interrupt(fiber)
            }
          }
        })
        yield* Effect.provide(sweep, layer(script, { retry: false }))
        assert.isAbove(made, 100)
        assert.strictEqual(closed.size, made)
      })
    )
  })
})
