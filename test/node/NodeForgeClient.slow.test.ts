import { assert, it } from "@effect/vitest"
import { Duration, Effect, Redacted } from "effect"
import { Forge } from "../../src/index.ts"
import { NodeForgeClient } from "../../src/node/index.ts"
import { layerClients } from "../support/Clients.ts"
import * as Connections from "../support/Connections.ts"
import { calls } from "../support/Operations.ts"
import * as Proxies from "../support/Proxies.ts"

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

it.live("a proxy that does not answer CONNECT within 10 seconds is given up, and nothing was sent", () =>
  Effect.gen(function* () {
    const proxy = yield* Proxies.make({ treatment: "silence" })
    const client = NodeForgeClient.layer({
      url: "https://forge.test",
      token: Redacted.make("cf_test-token"),
      proxy: `http://127.0.0.1:${proxy.port}`,
      retry: false
    })
    const error = yield* Effect.flip(Effect.provide(Forge.run("hello"), client))
    assert.deepNestedInclude(error, {
      outcome: "not-sent",
      "reason._tag": "Connect",
      message: `no connection to https://forge.test through the proxy http://127.0.0.1:${proxy.port} (UND_ERR_CONNECT_TIMEOUT)`
    })
  }).pipe(Effect.scoped)
)
