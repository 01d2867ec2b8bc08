/**
 * Runs one turn that takes longer than 300 seconds, on the Node layer: `node test/bench/long-turn.ts [seconds]`.
 *
 * The server sends no byte before its response. `fetch` would fail after 300 seconds, whatever the timeout.
 */
import { Duration, Effect } from "effect"
import { setTimeout as sleep } from "node:timers/promises"
import { Forge } from "../../src/index.ts"
import { layer, type Script, ScriptedServer, wellBehaved } from "../support/ScriptedServer.ts"

const seconds = Number(process.argv[2] ?? 320)

const usual = wellBehaved()
const silentForLong: Script = async (request, nth) => {
  if (request.path.endsWith("/turn")) await sleep(seconds * 1000)
  return usual(request, nth)
}

const program = Forge.withSession({ agent: "demo" }, (session) =>
  Effect.gen(function* () {
    const [took, turn] = yield* Effect.timed(session.turn("Take your time.", { timeout: "10 minutes" }))
    const { received } = yield* ScriptedServer
    const turns = received.filter(({ path }) => path.endsWith("/turn")).length
    return `${turn.text} - answered after ${Duration.toSeconds(took).toFixed(1)} s, sent ${turns} time(s)`
  })
)

console.log(await Effect.runPromise(Effect.provide(program, layer(silentForLong))))
