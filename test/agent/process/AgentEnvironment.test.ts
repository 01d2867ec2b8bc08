import { assert, it, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as AgentEnvironment from "../../../src/agent/process/AgentEnvironment.ts"
import { collect, misbehaving, open, Platform, prompt, textOf } from "../Support.ts"

const server = { PATH: "/bin", HOME: "/home/a", SECRET: "s", CLAWDFORGE_ADMIN_TOKEN: "t", KEY: "k" }
const agent = { name: "a", command: ["a"], permissions: "allow" } as const

it("only the standard variables are passed on by default", () => {
  assert.deepStrictEqual(AgentEnvironment.make(agent, server), { PATH: "/bin", HOME: "/home/a" })
})

it("a definition sets variables of its own, and passes on those that it names", () => {
  const environment = AgentEnvironment.make(
    { ...agent, env: { HOME: "/srv", A: "1" }, passEnv: ["KEY", "NONE"] },
    server
  )
  assert.deepStrictEqual(environment, { PATH: "/bin", HOME: "/srv", KEY: "k", A: "1" })
})

it("the server's own settings are never passed on, even if a definition names them", () => {
  const definition = {
    ...agent,
    env: { CLAWDFORGE_URL: "u" },
    passEnv: ["CLAWDFORGE_ADMIN_TOKEN"]
  }
  assert.deepStrictEqual(AgentEnvironment.make(definition, server), { PATH: "/bin", HOME: "/home/a" })
})

layer(Platform, { excludeTestServices: true })("the environment of an agent", (it) => {
  it.effect("has the standard variables and those of the definition, and none of the server's own", () =>
    Effect.gen(function* () {
      process.env["CLAWDFORGE_ADMIN_TOKEN"] = "canary-admin"
      process.env["AGENT_TEST_SECRET"] = "canary-secret"
      process.env["AGENT_TEST_PASSED"] = "passed"
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          delete process.env["CLAWDFORGE_ADMIN_TOKEN"]
          delete process.env["AGENT_TEST_SECRET"]
          delete process.env["AGENT_TEST_PASSED"]
        })
      )
      const session = yield* open({
        ...misbehaving("environment"),
        env: { GIVEN: "given" },
        passEnv: ["AGENT_TEST_PASSED", "CLAWDFORGE_ADMIN_TOKEN"]
      })
      const environment: Record<string, string> = JSON.parse(textOf(yield* collect(session, prompt("go"))))
      assert.strictEqual(environment["GIVEN"], "given")
      assert.strictEqual(environment["AGENT_TEST_PASSED"], "passed")
      assert.strictEqual(environment["PATH"], process.env["PATH"])
      assert.notInclude(JSON.stringify(environment), "canary")
      const expected = ["PATH", "HOME", "LANG", "TMPDIR", "GIVEN", "AGENT_TEST_PASSED", "FORGE_AGENT_MARK"]
      assert.deepStrictEqual(
        Object.keys(environment).filter((name) => !expected.includes(name)),
        []
      )
    })
  )
})
