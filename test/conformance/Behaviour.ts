/**
 * WIRE.md, "Server behaviour", as far as it is seen from outside.
 */
import { Effect, Fiber } from "effect"
import { strict as assert } from "node:assert"
import { randomBytes } from "node:crypto"
import type { Group } from "./Case.ts"
import * as Expect from "./Expect.ts"
import { App, Server, lastAnswer } from "./Server.ts"
import { eventually } from "../support/Eventually.ts"
import * as Http from "../support/Http.ts"

export const Behaviour: Group = {
  name: "Server behaviour",
  cases: [
    {
      title: "the bearer comes from the Authorization header alone",
      test: Effect.gen(function* () {
        const { call } = yield* Server
        const { token } = yield* App
        const query = `?token=${token}&access_token=${token}&authorization=Bearer%20${token}`
        Expect.refused(yield* call("GET", `/sessions${query}`), 401)
        for (const headers of [
          { cookie: `token=${token}; authorization=Bearer ${token}` },
          { "x-api-key": token },
          { "proxy-authorization": `Bearer ${token}` }
        ]) {
          Expect.refused(yield* call("GET", "/sessions", { headers }), 401)
        }
      })
    },
    {
      title: "Host must be a listen address, a loopback name or --allowed-host, else 421",
      needs: ["socket", "ours"],
      test: Effect.gen(function* () {
        const { url } = yield* Server
        for (const host of ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io:80", ""]) {
          const answer = yield* Http.exchange(
            url,
            `GET /healthz HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`
          )
          assert.equal(lastAnswer(answer).status, 421, host)
        }
      })
    },
    {
      title: "no CORS unless --cors-origin names origins",
      needs: ["ours"],
      test: Effect.gen(function* () {
        const { call } = yield* Server
        const headers = { origin: "https://evil.example", "access-control-request-method": "POST" }
        for (const answer of [
          yield* call("OPTIONS", "/sessions", { headers }),
          yield* call("GET", "/healthz", { headers })
        ]) {
          assert.deepEqual(
            Object.keys(answer.headers).filter((name) => name.startsWith("access-control-")),
            []
          )
        }
      })
    },
    {
      title: "403 the peer's address is outside the token's allowlist, for loopback too",
      needs: ["admin", "ours", "socket"],
      test: Effect.gen(function* () {
        const { admin, call } = yield* Server
        const name = `case-${randomBytes(8).toString("hex")}`
        const body = { name, ip_cidrs: ["203.0.113.0/24"] }
        yield* Effect.addFinalizer(() => admin("DELETE", `/admin/tokens/${name}`).pipe(Effect.ignore))
        const { token } = Expect.answer(yield* admin("POST", "/admin/tokens", { body }), 200)
        const headers = { authorization: `Bearer ${String(token)}` }
        Expect.refused(yield* call("GET", "/sessions", { headers }), 403, "address not allowed")
        const forwarded = { ...headers, "x-forwarded-for": "203.0.113.7" }
        Expect.refused(yield* call("GET", "/sessions", { headers: forwarded }), 403, "address not allowed")
      })
    },
    {
      title: "running turns per app: 429 with Retry-After",
      needs: ["small", "demo", "admin"],
      test: Effect.gen(function* () {
        const app = yield* App
        const ids = yield* Effect.all([app.open(), app.open()])
        const more = yield* app.open()
        const running = yield* Effect.forEach(ids, (id) => Effect.forkChild(app.turn(id, "/wait")))
        yield* Effect.forEach(ids, (id) => app.turns(id, 1))
        const refused = yield* app.turn(more, "/echo refused")
        Expect.refused(refused, 429, "too many requests")
        assert.match(refused.headers["retry-after"] ?? "", /^\d+$/)
        yield* Fiber.interruptAll(running)
      })
    },
    {
      title: "turns waiting on one session: 429 with Retry-After",
      needs: ["small", "demo", "admin"],
      test: Effect.gen(function* () {
        const app = yield* App
        const id = yield* app.open()
        const first = yield* Effect.forkChild(app.turn(id, "/wait"))
        yield* app.turns(id, 1)
        const more = yield* Effect.forEach(Array.from({ length: 17 }), () =>
          Effect.forkChild(app.turn(id, "/echo waited"), { startImmediately: true })
        )
        const refused = yield* Effect.raceAll(more.map((turn) => Fiber.join(turn)))
        Expect.refused(refused, 429, "too many requests")
        assert.match(refused.headers["retry-after"] ?? "", /^\d+$/)
        yield* Fiber.interruptAll([...more, first])
      })
    },
    {
      title: "a prompt over 65,536 UTF-8 bytes never travels in argv, which would not hold this one",
      needs: ["demo"],
      test: Effect.gen(function* () {
        const app = yield* App
        const id = yield* app.open()
        const long = "é".repeat(200_000)
        assert.equal(Expect.textOf(Expect.turn(yield* app.turn(id, `/echo ${long}`))), long)
        const run = yield* app.request("POST", "/run", { body: { prompt: `/echo ${long}` } })
        Expect.answer(run, 200, { result: long })
      })
    },
    {
      title: "concurrent runs: 503 `too many runs` with when to come again; a run that ends makes room",
      needs: ["small", "demo", "admin"],
      alone: true,
      test: Effect.gen(function* () {
        const app = yield* App
        const run = (prompt: string) => app.request("POST", "/run", { body: { prompt } })
        const waiting = yield* Effect.forEach(Array.from({ length: 9 }), () =>
          Effect.forkChild(run("/wait"), { startImmediately: true })
        )
        const refused = yield* Effect.raceAll(waiting.map((run) => Fiber.join(run)))
        Expect.refused(refused, 503, "too many runs")
        assert.match(refused.headers["retry-after"] ?? "", /^\d+$/)
        yield* Fiber.interruptAll(waiting)
        const again = run("/echo room").pipe(eventually("room for a run", ({ status }) => status !== 503))
        Expect.answer(yield* again, 200, { result: "room" })
      })
    },
    {
      title:
        "every session has its own working directory; staged files are named attachment-N.<ext>, never by the client's file name",
      needs: ["demo", "ours"],
      test: Effect.gen(function* () {
        const app = yield* App
        const cwds = new Set<unknown>()
        for (const _ of [1, 2]) {
          const id = yield* app.open()
          const { cwd } = Expect.answer(yield* app.request("GET", `/sessions/${id}`), 200)
          cwds.add(cwd)
          const files = [yield* app.upload("secret", "../../passwd.txt")]
          const answer = yield* app.turn(id, "Read it.", { files })
          const call = Expect.turn(answer).find(({ type }) => type === "tool_call")
          const { path } = Expect.fields(call?.["args"], { path: Expect.like(/\/attachment-1\.txt$/) })
          assert(String(path).startsWith(`${String(cwd)}/`))
        }
        assert.equal(cwds.size, 2)
      })
    },
    {
      title: "a JSON body nested too deep is refused: 422",
      needs: ["ours"],
      test: Effect.gen(function* () {
        const app = yield* App
        const body = `{"prompt":"x","meta":${"[".repeat(100_000)}${"]".repeat(100_000)}}`
        for (const path of ["/run", "/sessions"]) {
          Expect.invalid(yield* app.request("POST", path, { body }), ["body"])
        }
      })
    },
    {
      title: "session ids and tokens in answers match the patterns that clients accept",
      test: Effect.gen(function* () {
        const app = yield* App
        assert.match(yield* app.open(), /^[A-Za-z0-9_-]{16,128}$/)
        assert.match(yield* app.upload("x"), /^ff_[A-Za-z0-9_-]{16,128}$/)
      })
    }
  ]
}
