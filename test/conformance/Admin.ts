/**
 * WIRE.md, "Admin".
 */
import { Effect, Fiber, Redacted, Stream } from "effect"
import { strict as assert } from "node:assert"
import { randomBytes } from "node:crypto"
import type { Group, Need } from "./Case.ts"
import * as Expect from "./Expect.ts"
import { App, Server } from "./Server.ts"

/** A name for a token that is taken back at the end. */
const newName = Effect.gen(function* () {
  const { admin } = yield* Server
  const name = `case_${randomBytes(8).toString("hex")}`
  yield* Effect.addFinalizer(() => admin("DELETE", `/admin/tokens/${name}`).pipe(Effect.ignore))
  return name
})

const needs: ReadonlyArray<Need> = ["admin"]

export const Admin: Group = {
  name: "Admin",
  cases: [
    {
      title: "POST /admin/tokens: 200 with name, token cf_… and ip_cidrs null or an array",
      needs,
      test: Effect.gen(function* () {
        const { admin, call } = yield* Server
        const [name, bound] = [yield* newName, yield* newName]
        const minted = Expect.answer(yield* admin("POST", "/admin/tokens", { body: { name } }), 200, {
          name,
          token: Expect.like(/^cf_[A-Za-z0-9_-]{16,}$/),
          ip_cidrs: (cidrs: unknown) => cidrs === null || (Expect.isArray(cidrs) && cidrs.length === 0)
        })
        const ip_cidrs = ["127.0.0.0/8", "::1/128"]
        Expect.answer(yield* admin("POST", "/admin/tokens", { body: { name: bound, ip_cidrs } }), 200, { ip_cidrs })
        const headers = { authorization: `Bearer ${String(minted["token"])}` }
        Expect.answer(yield* call("GET", "/sessions", { headers }), 200, { count: 0 })
      })
    },
    {
      title: "name: ^[a-z0-9_-]{1,64}$, else 422",
      needs,
      test: Effect.gen(function* () {
        const { admin } = yield* Server
        for (const name of [undefined, null, "", "A", "a b", "é", "a/b", "a".repeat(65), 1, "a\n"]) {
          Expect.invalid(yield* admin("POST", "/admin/tokens", { body: { name } }), ["body", "name"])
        }
      })
    },
    {
      title: "ip_cidrs: [string], networks",
      needs: ["admin", "ours"],
      test: Effect.gen(function* () {
        const { admin } = yield* Server
        const name = yield* newName
        for (const ip_cidrs of [
          "10.0.0.0/8",
          [1],
          ["10.0.0.1"],
          ["10.0.0.0/33"],
          ["fd00::/129"],
          ["::ffff:10.0.0.0/129"],
          ["localhost"]
        ]) {
          Expect.invalid(yield* admin("POST", "/admin/tokens", { body: { name, ip_cidrs } }), ["body", "ip_cidrs"])
        }
        Expect.refused(yield* admin("DELETE", `/admin/tokens/${name}`), 404)
      })
    },
    {
      title: "a live token of that name exists: 409",
      needs: ["admin", "ours"],
      test: Effect.gen(function* () {
        const { admin } = yield* Server
        const body = { name: yield* newName }
        Expect.answer(yield* admin("POST", "/admin/tokens", { body }), 200)
        Expect.refused(yield* admin("POST", "/admin/tokens", { body }), 409, "token exists")
      })
    },
    {
      title: "GET /admin/tokens: ok and tokens with name, ip_cidrs and created_at, never the plain text",
      needs,
      test: Effect.gen(function* () {
        const { admin } = yield* Server
        const name = yield* newName
        yield* admin("POST", "/admin/tokens", { body: { name } })
        const answer = yield* admin("GET", "/admin/tokens")
        const { tokens } = Expect.answer(answer, 200, { ok: true })
        const own = Expect.records(tokens).find((token) => token["name"] === name)
        Expect.fields(own, { ip_cidrs: Expect.orNull(Expect.isArray), created_at: Expect.isTime })
        assert(!answer.text.includes("cf_"))
      })
    },
    {
      title: "GET /admin/tokens: in the order of their names",
      needs: [...needs, "ours"],
      test: Effect.gen(function* () {
        const { admin } = yield* Server
        const names = [yield* newName, yield* newName, yield* newName]
        for (const name of names) yield* admin("POST", "/admin/tokens", { body: { name } })
        const { tokens } = Expect.answer(yield* admin("GET", "/admin/tokens"), 200, { ok: true })
        const listed = Expect.records(tokens).map((token) => String(token["name"]))
        assert.deepEqual(
          listed.filter((name) => names.includes(name)),
          names.toSorted((a, b) => (a < b ? -1 : 1))
        )
      })
    },
    {
      title: 'DELETE: 200 {"ok": true}; unknown name 404',
      needs,
      test: Effect.gen(function* () {
        const { admin } = yield* Server
        const name = yield* newName
        yield* admin("POST", "/admin/tokens", { body: { name } })
        const revoke = admin("DELETE", `/admin/tokens/${name}`)
        assert.deepEqual(Expect.answer(yield* revoke, 200), { ok: true })
        Expect.refused(yield* revoke, 404)
        for (const unknown of ["unknown", "%2e%2e", "A", "__proto__"]) {
          Expect.refused(yield* admin("DELETE", `/admin/tokens/${unknown}`), 404)
        }
      })
    },
    {
      title: "401 bearer revoked: from then on the token is unknown",
      needs,
      test: Effect.gen(function* () {
        const { admin } = yield* Server
        const app = yield* App
        yield* app.open()
        yield* admin("DELETE", `/admin/tokens/${app.name}`)
        Expect.refused(yield* app.request("GET", "/sessions"), 401)
      })
    },
    {
      title: "revoking ends that app's turns",
      needs: ["admin", "demo", "ours"],
      test: Effect.gen(function* () {
        const { admin } = yield* Server
        const app = yield* App
        const id = yield* app.open()
        const turn = yield* Effect.forkChild(app.turn(id, "/wait"))
        yield* app.turns(id, 1)
        Expect.answer(yield* admin("DELETE", `/admin/tokens/${app.name}`), 200)
        assert.equal((yield* Fiber.join(turn)).status, 410)
      })
    },
    {
      title: "revoking closes its sessions and drops its files; minting the name again inherits nothing",
      needs: ["admin", "ours"],
      test: Effect.gen(function* () {
        const { admin, call } = yield* Server
        const app = yield* App
        const id = yield* app.open()
        const file = yield* app.upload("secret")
        yield* admin("DELETE", `/admin/tokens/${app.name}`)
        const again = Expect.answer(yield* admin("POST", "/admin/tokens", { body: { name: app.name } }), 200)
        const headers = { authorization: `Bearer ${String(again["token"])}` }
        Expect.answer(yield* call("GET", "/sessions", { headers }), 200, { sessions: [], count: 0 })
        Expect.refused(yield* call("GET", `/sessions/${id}`, { headers }), 404)
        const run = yield* call("POST", "/run", { headers, body: { prompt: "Read.", files: [file] } })
        Expect.refused(run, 404)
      })
    },
    {
      title: "a token that is revoked ends what it has under way: 401",
      needs: ["admin", "demo", "feature run_stream"],
      test: Effect.gen(function* () {
        const { admin } = yield* Server
        const { name, read } = yield* App
        const revoke = admin("DELETE", `/admin/tokens/${name}`)
        const text = yield* read("POST", "/run", {
          body: { prompt: "/wait" },
          headers: { accept: "text/event-stream" }
        }).pipe(
          Stream.tap((piece) => (piece.includes("Waiting.") ? revoke : Effect.void)),
          Stream.mkString
        )
        Expect.fields(Expect.frames(text).at(-1)?.data, { status: 401 })
      })
    },
    {
      title: "the client mints, lists and revokes; a name that is taken is its 409",
      needs: ["admin", "ours"],
      test: Effect.gen(function* () {
        const server = yield* Server
        const client = yield* server.adminClient
        const name = yield* newName
        const { token } = yield* client.mint(name)
        assert.match(Redacted.value(token), /^cf_/)
        assert((yield* client.list).some((listed) => listed.name === name))
        const taken = yield* Effect.flip(client.mint(name))
        assert.deepEqual([taken._tag, "status" in taken ? taken.status : 0], ["ApiError", 409])
        yield* client.revoke(name)
        assert(!(yield* client.list).some((listed) => listed.name === name))
      })
    }
  ]
}
