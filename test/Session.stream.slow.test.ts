/**
 * Streams through a proxy that cuts every connection. `SEED` decides where, `STREAMS` is how many there are.
 */
import { assert, it } from "@effect/vitest"
import { Effect, Random, Redacted, Stream } from "effect"
import { Forge, Turn } from "../src/index.ts"
import { NodeForgeClient } from "../src/node/index.ts"
import { serve } from "./server/Support.ts"
import * as CuttingProxy from "./support/CuttingProxy.ts"

const seed = process.env["SEED"] ?? "1"
const streams = Number(process.env["STREAMS"] ?? 200)
const sessions = 10

it.live(
  "streams whose connections are cut at random give each event once, and no prompt is sent twice",
  () =>
    Effect.gen(function* () {
      const { mint, url } = yield* serve({ maxAppTurns: 100 })
      const { token } = yield* mint("app")
      const numbers = yield* Effect.all(Array.from({ length: 10_000 }, () => Random.next)).pipe(Random.withSeed(seed))
      let used = 0
      const next = () => numbers[used++ % numbers.length] ?? 0
      // The head of a response is about 400 bytes, and a whole stream about 1,500.
      const proxy = yield* CuttingProxy.start(url, () => 200 + Math.floor(next() * 1_800))

      const converse = Effect.fnUntraced(function* () {
        const session = yield* Forge.session({ agent: "demo" })
        const turns = streams / sessions
        for (let index = 1; index <= turns; index++) {
          const parts = yield* session.stream(`/chunks 8`).pipe(Stream.runCollect)
          const last = parts.at(-1)
          if (last?._tag !== "Done") return assert.fail(`turn ${index} has no end`)
          assert.strictEqual(last.turn.index, index)
          assert.strictEqual(yield* Stream.fromIterable(parts).pipe(Turn.texts, Stream.mkString), last.turn.text)
          assert.strictEqual(last.turn.text, "1 2 3 4 5 6 7 8 ")
        }
        assert.strictEqual((yield* session.state).turnCount, turns)
      }, Effect.scoped)

      yield* Effect.all(
        Array.from({ length: sessions }, () => converse()),
        { concurrency: "unbounded" }
      ).pipe(
        Effect.provide(
          NodeForgeClient.layer({
            url: proxy.url,
            token: Redacted.make(token),
            retry: { times: 30, pause: "5 millis", budget: "10 minutes" }
          })
        )
      )
      assert.isAbove(proxy.cuts(), streams / 2)
      yield* Effect.logInfo(`${streams} streams, ${proxy.cuts()} connections cut`)
    }).pipe(Effect.scoped),
  600_000
)
