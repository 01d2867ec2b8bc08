import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, it } from "@effect/vitest"
import { Effect, Logger } from "effect"
import * as StartReport from "../../src/cli/StartReport.ts"

it.effect("the start is logged with all that was found, and without arguments, environment or token", () =>
  Effect.gen(function* () {
    const lines: Array<string> = []
    const recorder = Logger.map(Logger.formatLogFmt, (line) => {
      lines.push(line.replace(/^timestamp=\S+ /, "").replace(/ fiber=\S+/, ""))
    })
    const node = process.execPath
    const agents = yield* StartReport.findAgents([
      { name: "here", command: [node, "--key=canary"], env: { KEY: "canary" }, permissions: "deny", mode: "calm" },
      { name: "wrapped", command: ["./inside"], wrap: [node, "canary"], permissions: "allow" },
      { name: "gone", command: ["/nonexistent/agent", "canary"], permissions: "allow" }
    ])
    const report = { agents, permissions: "allow", url: "http://127.0.0.1:1", adminToken: "canary" } as const
    const logs = Logger.layer([recorder])
    yield* StartReport.log({ ...report, data: "/data" }).pipe(Effect.provide(logs))
    yield* StartReport.log({
      ...report,
      agents: [],
      permissions: "deny",
      data: "/data",
      allowedCidrs: ["10.0.0.0/8", "fd00::/8"],
      allowedHosts: ["forge.example"],
      corsOrigins: ["https://app.example"],
      trustedProxies: ["10.0.0.2/32"]
    }).pipe(Effect.provide(logs))
    const node24 = `node=${process.version}`
    assert.deepStrictEqual(lines, [
      `level=INFO message="agent found" agent=here command=${node} permissions=deny mode=calm path=${node}`,
      `level=INFO message="agent found" agent=wrapped command=./inside wrap=${node} permissions=allow path=${node}`,
      'level=WARN message="agent not found: there is no command /nonexistent/agent" agent=gone command=/nonexistent/agent permissions=allow',
      `level=INFO message="server started" url=http://127.0.0.1:1 data=/data permissions=allow networks=loopback ${node24}`,
      `level=INFO message="server started" url=http://127.0.0.1:1 data=/data permissions=deny networks=loopback,10.0.0.0/8,fd00::/8 hosts=forge.example trusted_proxies=10.0.0.2/32 cors_origins=https://app.example ${node24}`
    ])
    assert.notInclude(lines.join("\n"), "canary")
  }).pipe(Effect.provide(NodeServices.layer))
)
