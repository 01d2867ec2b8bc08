/**
 * What the log of a server says of a failed call.
 */
import { assert, it } from "@effect/vitest"
import { Effect, Logger } from "effect"
import * as DemoAgent from "../../src/agent/DemoAgent.ts"
import { odd } from "./OddAgents.ts"
import { type App, openStream, serve } from "./Support.ts"

const missing = { name: "missing", command: ["/nonexistent/agent", "--key=canary"], permissions: "deny" } as const
const agents = [DemoAgent.definition, odd("exit-at-start"), odd("refuse-new"), odd("version"), missing]

/** A server of these agents, its app, and what it logged at a level. */
const make = Effect.fnUntraced(function* (logRequests: boolean) {
  const lines: Array<string> = []
  const recorder = Logger.map(Logger.formatLogFmt, (line) => {
    lines.push(line)
  })
  const server = yield* Effect.provide(serve({ agents, logRequests, maxOpenSessions: 1 }), Logger.layer([recorder]))
  const app = yield* server.mint("billing")
  const warned = (message: string) =>
    lines
      .filter((line) => line.includes(`level=WARN`) && line.includes(`message=${message}`))
      .map((line) => line.replace(/^.* message=("[^"]+"|\S+) /, "").replace(/request_id=\S+ /, ""))
  return { app, lines, warned }
})

const create = (app: App, agent: string) => app.request("POST", "/sessions", { body: { agent } })

it.live(
  "each failure of an agent is a warning with app, agent, session, stop reason and error type, without text",
  () =>
    Effect.gen(function* () {
      const { app, lines, warned } = yield* make(true)
      for (const { name } of agents.slice(1)) assert.strictEqual((yield* create(app, name)).status, 502)
      const { id } = yield* app.open
      assert.strictEqual((yield* app.turn(id, "/fail canary")).status, 502)
      const path = `/sessions/${id}/turn`
      // It fails in the middle of its stream, whose status is 200 by then.
      const exits = { body: { prompt: "/exit 3" }, headers: { "idempotency-key": "k" } }
      const stream = yield* openStream(app, path, exits)
      assert.strictEqual(stream.status, 200)
      assert.include(yield* stream.rest, "event: error")
      assert.strictEqual((yield* app.request("POST", path, exits)).status, 502)
      assert.strictEqual((yield* app.request("POST", "/run", { body: { prompt: "/fail canary" } })).status, 502)
      assert.deepStrictEqual(warned('"agent failed"'), [
        "app=billing agent=exit-at-start stop_reason=error error_type=exited",
        "app=billing agent=refuse-new stop_reason=error error_type=auth_required",
        "app=billing agent=version stop_reason=error error_type=unsupported_version",
        "app=billing agent=missing stop_reason=error error_type=cannot_start",
        `app=billing session=${id} agent=demo stop_reason=error error_type=refused`,
        `app=billing session=${id} agent=demo stop_reason=error error_type=exited`,
        "app=billing agent=demo stop_reason=error error_type=refused"
      ])

      assert.strictEqual((yield* create(app, "demo")).status, 503)
      assert.deepStrictEqual(warned('"call refused"'), ["app=billing error_type=PoolFull"])
      assert.deepStrictEqual(warned('"kept failure repeated"'), [
        `app=billing session=${id} agent=demo stop_reason=error error_type=kept`
      ])
      // Each request that was answered with 500 or more, not counting the stream.
      assert.lengthOf(warned("request"), 8)
      for (const text of [app.token, "canary"]) assert.notInclude(lines.join("\n"), text)
    }).pipe(Effect.scoped)
)

it.live("a server that does not log requests does not log their failures either", () =>
  Effect.gen(function* () {
    const { app, lines } = yield* make(false)
    assert.strictEqual((yield* create(app, "missing")).status, 502)
    assert.deepStrictEqual(lines, [])
  }).pipe(Effect.scoped)
)
