import { assert, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { NodeForgeClient } from "../../src/node/index.ts"
import { layerClients } from "../support/Clients.ts"
import * as Connections from "../support/Connections.ts"
import { calls } from "../support/Operations.ts"

it.live("a connection that is not established within 10 seconds is given up, and nothing was sent", () =>
  Effect.gen(function* () {
    const { connections, port, received } = yield* Connections.tcp(() => {})
    const clients = layerClients(`https://127.0.0.1:${port}`, false)
    const call = calls["turn"]?.call ?? Effect.die("there is such a call")
    const [took, error] = yield* Effect.timed(Effect.flip(call)).pipe(
      Effect.provide(clients),
      Effect.provide(NodeForgeClient.layerHttpClient)
    )
    assert.deepInclude(error, { _tag: "TransportError", outcome: "not-sent" })
    assert.strictEqual(error._tag === "TransportError" && error.reason._tag, "Connect")
    // Sooner than the deadline of the turn, which is 150 seconds: this test would not last that long.
    assert.isAtLeast(Duration.toSeconds(took), 9.5)
    assert.strictEqual(connections(), 1)
    assert.notInclude(received(), "POST")
  }).pipe(Effect.scoped)
)
