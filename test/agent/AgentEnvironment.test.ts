import { assert, it } from "@effect/vitest"
import * as AgentEnvironment from "../../src/agent/AgentEnvironment.ts"

const server = { PATH: "/bin", HOME: "/home/a", SECRET: "s", CLAWDFORGE_ADMIN_TOKEN: "t", KEY: "k" }
const agent = { name: "a", command: ["a"], permissions: "allow" } as const

it("an agent sees the few variables that a program needs, and no others", () => {
  assert.deepStrictEqual(AgentEnvironment.make(agent, server), { PATH: "/bin", HOME: "/home/a" })
})

it("a definition adds its own, and passes on what it names", () => {
  const environment = AgentEnvironment.make(
    { ...agent, env: { HOME: "/srv", A: "1" }, passEnv: ["KEY", "NONE"] },
    server
  )
  assert.deepStrictEqual(environment, { PATH: "/bin", HOME: "/srv", KEY: "k", A: "1" })
})

it("the server's own settings reach no agent, whatever its definition says", () => {
  const definition = {
    ...agent,
    env: { CLAWDFORGE_URL: "u" },
    passEnv: ["CLAWDFORGE_ADMIN_TOKEN"]
  }
  assert.deepStrictEqual(AgentEnvironment.make(definition, server), { PATH: "/bin", HOME: "/home/a" })
})
