import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import * as Connections from "./support/Connections.ts"

it.live("an error that `runMain` prints has its call below it", () =>
  Effect.gen(function* () {
    const program = [
      'import * as NodeRuntime from "@effect/platform-node/NodeRuntime"',
      'import { Effect } from "effect"',
      'import { Forge } from "./src/index.ts"',
      'import { NodeForgeClient } from "./src/node/index.ts"',
      "NodeRuntime.runMain(Effect.provide(Forge.run('hello'), NodeForgeClient.layerConfig({ retry: false })))"
    ].join("\n")
    const url = `http://127.0.0.1:${yield* Connections.abandonedPort}`
    const output = yield* Effect.callback<string>((resume) => {
      execFile(
        process.execPath,
        ["--input-type=module", "--eval", program],
        { env: { ...process.env, CLAWDFORGE_URL: url, CLAWDFORGE_TOKEN: "cf_x" } },
        (_, stdout, stderr) => resume(Effect.succeed(stdout + stderr))
      )
    })
    assert.include(
      output,
      `TransportError: no connection to ${url} (ECONNREFUSED): is a clawdforge server running there?\n    in Forge.run (POST /run)\n`
    )
  })
)
