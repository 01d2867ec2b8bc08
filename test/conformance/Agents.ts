/**
 * WIRE.md, "What our server adds": the list of agents, and requests that name one or none.
 */
import { Effect } from "effect"
import { strict as assert } from "node:assert"
import type { Group } from "./Case.ts"
import * as Expect from "./Expect.ts"
import { App, Server } from "./Server.ts"

const list = Effect.gen(function* () {
  const app = yield* App
  const { agents } = Expect.answer(yield* app.request("GET", "/agents"), 200, { ok: true })
  return Expect.records(agents)
})

const isChoices = Expect.optional(
  (value) =>
    Expect.isArray(value) && Expect.records(value).every(({ id, name }) => Expect.isString(id) && Expect.isString(name))
)

export const Agents: Group = {
  name: "What our server adds: agents",
  cases: [
    {
      title:
        "GET /agents: {ok, agents: [{name, default, ready, reason?, features, models?, modes?}]}, one of them the default",
      needs: ["feature agents"],
      test: Effect.gen(function* () {
        const agents = yield* list
        for (const agent of agents) {
          Expect.fields(agent, {
            name: Expect.isString,
            default: Expect.isBoolean,
            ready: Expect.isBoolean,
            reason: agent["ready"] === true ? undefined : Expect.isString,
            features: (features: unknown) => Object.values(Expect.record(features)).every(Expect.isBoolean),
            models: isChoices,
            modes: isChoices
          })
        }
        assert.equal(agents.filter((agent) => agent["default"] === true).length, 1)
      })
    },
    {
      title: "what an agent can do is known once it has opened a session",
      needs: ["feature agents", "demo"],
      test: Effect.gen(function* () {
        const app = yield* App
        const { agent } = yield* Server
        yield* app.open()
        const known = (yield* list).find(({ name }) => name === agent)
        const { features, models } = Expect.fields(known, { ready: true, modes: undefined })
        Expect.fields(features, { load: true, images: true, mcp: true })
        assert(Expect.records(models).some(({ id }) => id === "demo-terse"))
      })
    },
    {
      title: "one whose program is not installed is not ready, and says why",
      needs: ["feature agents", "broken"],
      test: Effect.gen(function* () {
        const broken = (yield* list).find(({ name }) => name === "broken")
        Expect.fields(broken, { ready: false, reason: Expect.like(/not installed$/), features: {} })
      })
    },
    {
      title: "POST /sessions without agent takes the default",
      needs: ["feature agents"],
      test: Effect.gen(function* () {
        const app = yield* App
        const name = (yield* list).find((agent) => agent["default"] === true)?.["name"]
        const opened = Expect.answer(yield* app.request("POST", "/sessions", { body: {} }), 200, { agent: name })
        yield* app.request("DELETE", `/sessions/${String(opened["session_id"])}`)
      })
    },
    {
      title: "POST /run takes agent; one that is not in the table is 422 at body.agent",
      needs: ["feature agents", "demo"],
      test: Effect.gen(function* () {
        const app = yield* App
        const { agent } = yield* Server
        const run = (agent: unknown) => app.request("POST", "/run", { body: { prompt: "/echo x", agent } })
        Expect.answer(yield* run(agent), 200, { result: "x" })
        Expect.answer(yield* run(null), 200, { result: "x" })
        for (const wrong of ["unknown", "", 1]) Expect.invalid(yield* run(wrong), ["body", "agent"])
      })
    }
  ]
}
