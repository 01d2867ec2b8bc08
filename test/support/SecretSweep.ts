/**
 * Makes every call fail, and looks for secrets in everything that a program could print of it.
 */
import { assert } from "@effect/vitest"
import { Cause, Effect, Exit, Layer } from "effect"
import { ForgeAdmin, ForgeClient } from "../../src/index.ts"
import { leaks, prints, printsOfCause, printsOfSpans } from "./Canaries.ts"
import * as MemoryServer from "./MemoryServer.ts"
import * as Recorder from "./Recorder.ts"
import type { Answer, Received, Script } from "./ScriptedServer.ts"
import { calls, options, type Services } from "./Surface.ts"

/** The state of a session, that a handle is made of. */
const state = {
  ok: true,
  session_id: "s-1",
  agent: "demo",
  cwd: "/w",
  created_at: 1,
  last_turn_at: null,
  turn_count: 0,
  closed_at: null,
  meta: null,
  model: null,
  live: true
}

/** A server that fails each call in a given way, but answers what the call needs first. */
const failing = () => {
  let next: (request: Received) => Answer = () => "reset"
  let spared = ""
  const script: Script = (request) => {
    const call = `${request.method} ${request.path}`
    if (call === spared) return { json: state }
    return next(request)
  }
  return {
    script,
    arm: (answer: (request: Received) => Answer, name: string) => {
      next = answer
      spared = name.startsWith("session.") && name !== "session.state" ? "GET /sessions/s-1" : ""
    }
  }
}

/** Both clients of a server in memory. */
const clientsOf = (script: Script) => {
  const { layerHttpClient } = MemoryServer.make(script)
  const { admin, client } = options(MemoryServer.url)
  return Layer.merge(ForgeClient.layer(client), ForgeAdmin.layer(admin)).pipe(Layer.provide(layerHttpClient))
}

/** A way to fail. */
export interface Way {
  readonly name: string
  readonly answer: (request: Received) => Answer
}

/** Makes every call fail in each of its ways, and checks what errors, logs and telemetry print. */
export const sweep = (waysOf: (call: string, nth: number) => ReadonlyArray<Way>) => {
  const { arm, script } = failing()
  const recorder = Recorder.make()
  const one = Effect.fnUntraced(function* (name: string, call: Effect.Effect<unknown, unknown, Services>, way: Way) {
    arm(way.answer, name)
    const exit = yield* Effect.exit(Effect.scoped(call))
    if (Exit.isSuccess(exit)) return 0
    yield* Effect.logError(exit.cause)
    const what = () => `${name}: ${way.name}: ${Cause.pretty(exit.cause)}`
    assert.isFalse(Cause.hasDies(exit.cause), what())
    const leaked = leaks(printsOfCause(exit.cause))
    if (leaked.length > 0) assert.deepStrictEqual(leaked, [], what())
    return 1
  })
  return Effect.gen(function* () {
    let failed = 0
    for (const [nth, [name, call]] of calls.entries()) {
      for (const way of waysOf(name, nth)) failed += yield* one(name, call, way)
    }
    assert.isAtLeast(failed, calls.length)
    assert.isAtLeast(recorder.spans.length, failed)
    assert.deepStrictEqual(leaks(printsOfSpans(recorder.spans)), [])
    assert.deepStrictEqual(leaks(recorder.logs.join("\n")), [])
    assert.deepStrictEqual(leaks(prints(yield* recorder.metrics)), [])
  }).pipe(Effect.provide(clientsOf(script)), Effect.provide(recorder.layer))
}
