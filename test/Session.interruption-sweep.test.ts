/**
 * Interrupts at every point of a turn, of a close and of opening a session: no permit is lost, no session left open, no
 * turn sent twice, no connection held.
 */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Schema, Scheduler, Stream } from "effect"
import { HttpClient, HttpClientResponse } from "effect/http"
import { Forge, type Session } from "../src/index.ts"
import { health, layerClients } from "./support/Clients.ts"
import { patience } from "./support/Patience.ts"
import { created, layerServer, type Script, ScriptedServer, turn } from "./support/ScriptedServer.ts"
import { eventFrames, framesOf, stream } from "./support/StreamServer.ts"

const said = ["a", "b", "c"].map((content) => ({ type: "text", content }))

/** A server of sessions, and a record of them. A prompt says whether its turn is streamed, and to its end. */
const server = (features: ReadonlyArray<string>) => {
  const made: Array<string> = []
  const closed: Array<string> = []
  const prompts: Array<string> = []
  const script: Script = ({ body, method, path }) => {
    if (path === "/healthz") return { json: health(features) }
    if (path === "/sessions") {
      made.push(`s-${made.length + 1}`)
      return { json: created(made.length) }
    }
    if (path.endsWith("/cancel")) return { json: { ok: true, cancelled: false } }
    const id = path.split("/")[2] ?? ""
    if (method === "DELETE") {
      closed.push(id)
      return { json: { ok: true } }
    }
    const { prompt } = JSON.parse(body) as { readonly prompt: string }
    prompts.push(prompt)
    if (prompt.startsWith("whole ")) return stream(framesOf({ events: said }))
    if (prompt.startsWith("endless ")) return stream(eventFrames(said), { hang: true })
    return { json: turn(id, 1, prompt) }
  }
  return { script, made, closed, prompts }
}

/** One connection: if a call does not release it, the next one waits forever. */
const layerOne = (script: Script) =>
  Layer.unwrap(Effect.map(ScriptedServer, ({ url }) => layerClients(url, false))).pipe(
    Layer.provide(NodeHttpClient.layerUndiciOptions({ connections: 1 })),
    Layer.provide(layerServer(script))
  )

/** Interrupts an effect after this many steps, of which each has so many operations. */
const interruptAt = <A, E, R>(effect: Effect.Effect<A, E, R>, operations: number, step: number) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(Effect.provideService(effect, Scheduler.MaxOpsBeforeYield, operations))
    for (let at = 0; at < step; at++) yield* Effect.yieldNow
    if (step % 5 === 0) yield* Effect.sleep(step / 5)
    yield* Fiber.interrupt(fiber)
  })

const points = Array.from({ length: 14 }, (_, at) => at + 3).flatMap((operations) =>
  Array.from({ length: 25 }, (_, step) => ({ operations, step }))
)

const sweep = <E, R>(each: (operations: number, step: number) => Effect.Effect<unknown, E, R>) =>
  Effect.forEach(points, ({ operations, step }) => each(operations, step), { discard: true })

describe("a swept interrupt", () => {
  for (const features of [[], ["cancel"]]) {
    it.live(
      `of Session.turn, ${features.length === 0 ? "without" : "with"} cancel: its permit and its connection are released`,
      () => {
        const { closed, prompts, script } = server(features)
        return Effect.gen(function* () {
          yield* Forge.withSession({}, (session) =>
            Effect.andThen(
              sweep((operations, step) =>
                Effect.gen(function* () {
                  yield* interruptAt(session.turn(`${operations}/${step}`), operations, step)
                  if (step === 24) yield* Effect.timeout(session.turn(`after ${operations}`), patience)
                })
              ),
              Effect.timeout(session.turn("last"), patience)
            )
          )
          assert.strictEqual(prompts.at(-1), "last")
          assert.strictEqual(new Set(prompts).size, prompts.length)
          assert.deepStrictEqual(closed, ["s-1"])
        }).pipe(Effect.provide(layerOne(script)))
      }
    )
  }

  for (const kind of ["whole", "endless"]) {
    it.live(`of Session.stream, ${kind}: its permit and its connection are released, and its turn is cancelled`, () => {
      const { closed, prompts, script } = server(["cancel"])
      return Effect.gen(function* () {
        yield* Forge.withSession({}, (session) =>
          Effect.andThen(
            sweep((operations, step) =>
              Effect.gen(function* () {
                const read = Stream.runDrain(session.stream(`${kind} ${operations}/${step}`))
                yield* interruptAt(read, operations, step)
                if (step === 24) yield* Effect.timeout(session.turn(`after ${operations}`), patience)
              })
            ),
            Effect.timeout(session.turn("last"), patience)
          )
        )
        assert.strictEqual(prompts.at(-1), "last")
        assert.isAbove(prompts.length, 50)
        assert.strictEqual(new Set(prompts).size, prompts.length)
        assert.deepStrictEqual(closed, ["s-1"])
      }).pipe(Effect.provide(layerOne(script)))
    })
  }

  it.live("of Session.turnAs: its permit and its connection are released, in each of its attempts", () => {
    const { closed, prompts, script } = server(["cancel"])
    return Effect.gen(function* () {
      yield* Forge.withSession({}, (session) =>
        Effect.andThen(
          sweep((operations, step) =>
            Effect.gen(function* () {
              yield* interruptAt(session.turnAs(Schema.Finite, `${operations}/${step}`), operations, step * 3)
              if (step === 24) yield* Effect.timeout(session.turn(`after ${operations}`), patience)
            })
          ),
          Effect.timeout(session.turn("last"), patience)
        )
      )
      assert.strictEqual(prompts.at(-1), "last")
      const asked = prompts.filter((prompt) => /^\d+\/\d+\n/.test(prompt))
      assert.isAbove(asked.length, 50)
      assert.strictEqual(new Set(asked).size, asked.length)
      assert.isTrue(prompts.some((prompt) => prompt.startsWith("Your answer does not match")))
      assert.deepStrictEqual(closed, ["s-1"])
    }).pipe(Effect.provide(layerOne(script)))
  })

  it.live("of Session.close: one DELETE, and it can be closed again", () => {
    const { closed, made, script } = server([])
    const closeAt = (session: Session.Session, operations: number, step: number) =>
      Effect.gen(function* () {
        yield* interruptAt(session.close, operations, step)
        yield* Effect.timeout(session.close, patience)
      })
    return Effect.gen(function* () {
      yield* sweep((operations, step) => Forge.withSession({}, (session) => closeAt(session, operations, step)))
      assert.strictEqual(made.length, points.length)
      assert.deepStrictEqual(closed, made)
    }).pipe(Effect.provide(layerOne(script)))
  })

  it.live("of Forge.session: as many closes as sessions made", () => {
    const { closed, made, script } = server([])
    return Effect.gen(function* () {
      yield* sweep((operations, step) => interruptAt(Effect.scoped(Forge.session()), operations, step)).pipe(
        Effect.provide(layerOne(script))
      )
      assert.isAbove(made.length, 100)
      assert.deepStrictEqual([...closed].sort(), [...made].sort())
    })
  })

  it.live("of Forge.withSession around a turn: every session that was made is closed once", () => {
    const { closed, made, prompts, script } = server(["cancel"])
    return Effect.gen(function* () {
      yield* sweep((operations, step) =>
        interruptAt(
          Forge.withSession({}, (session) => session.turn(`${operations}/${step}`)),
          operations,
          step
        )
      ).pipe(Effect.provide(layerOne(script)))
      assert.isAbove(made.length, 100)
      assert.deepStrictEqual([...closed].sort(), [...made].sort())
      assert.strictEqual(new Set(prompts).size, prompts.length)
    })
  })
})

it.live("a swept interrupt as the answer arrives: it is read, or its request is ended", () => {
  const requests: Array<{ readonly signal: AbortSignal; answered: boolean; read: boolean }> = []
  const http = HttpClient.make((request, _, signal) =>
    Effect.gen(function* () {
      const one = { signal, answered: false, read: false }
      requests.push(one)
      yield* Effect.yieldNow
      const web = new Response(null, { headers: { "content-length": "2" } })
      one.answered = true
      return Object.create(HttpClientResponse.fromWeb(request, web), {
        arrayBuffer: {
          value: Effect.sync(() => {
            one.read = true
            return new TextEncoder().encode("{}").buffer
          })
        }
      }) as HttpClientResponse.HttpClientResponse
    })
  )
  return Effect.gen(function* () {
    for (let operations = 3; operations <= 20; operations++) {
      for (let step = 0; step < 60; step++) {
        const fiber = yield* Effect.forkChild(
          Effect.provideService(Forge.run("hello"), Scheduler.MaxOpsBeforeYield, operations)
        )
        for (let at = 0; at < step; at++) yield* Effect.yieldNow
        yield* Fiber.interrupt(fiber)
      }
    }
    const answered = requests.filter((one) => one.answered)
    assert.isAbove(answered.length, 100)
    assert.isAbove(answered.filter(({ signal }) => signal.aborted).length, 0)
    assert.strictEqual(answered.filter(({ read, signal }) => !read && !signal.aborted).length, 0)
  }).pipe(Effect.provide(layerClients("http://forge", false)), Effect.provideService(HttpClient.HttpClient, http))
})
