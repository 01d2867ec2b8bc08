import { assert, it, layer } from "@effect/vitest"
import { Effect } from "effect"
import { userInfo } from "node:os"
import * as AgentEnvironment from "../../../src/agent/process/AgentEnvironment.ts"
import { collect, misbehaving, open, Platform, prompt, textOf } from "../Support.ts"

const server = { PATH: "/bin", HOME: "/home/a", USER: "u", SECRET: "s", CLAWDFORGE_ADMIN_TOKEN: "t", KEY: "k" }
const standard = { PATH: "/bin", HOME: "/home/a", USER: "u", LOGNAME: "u" }
const agent = { name: "a", command: ["a"], permissions: "allow" } as const

it("only the standard variables are passed on by default", () => {
  assert.deepStrictEqual(AgentEnvironment.make(agent, server), standard)
  const others = { LANG: "C", LC_ALL: "C.UTF-8", TZ: "Asia/Tokyo", TMPDIR: "/t", LOGNAME: "l" }
  assert.deepStrictEqual(AgentEnvironment.make(agent, { ...server, ...others }), { ...standard, ...others })
})

it("USER and LOGNAME are always there: Claude finds its login by them", () => {
  const names = (environment: AgentEnvironment.Environment) => {
    const { LOGNAME, USER } = AgentEnvironment.make(agent, environment)
    return [USER, LOGNAME]
  }
  assert.deepStrictEqual(names({ LOGNAME: "l" }), ["l", "l"])
  const { username } = userInfo()
  assert.deepStrictEqual(names({}), [username, username])
})

it("a definition sets variables of its own, and passes on those that it names", () => {
  const environment = AgentEnvironment.make(
    { ...agent, env: { HOME: "/srv", A: "1" }, passEnv: ["KEY", "NONE"] },
    server
  )
  assert.deepStrictEqual(environment, { ...standard, HOME: "/srv", KEY: "k", A: "1" })
})

it("the server's own settings are never passed on, even if a definition names them", () => {
  const definition = {
    ...agent,
    env: { CLAWDFORGE_URL: "u" },
    passEnv: ["CLAWDFORGE_ADMIN_TOKEN"]
  }
  assert.deepStrictEqual(AgentEnvironment.make(definition, server), standard)
})

it("proxies are passed on in the case in which they are set, and never used for this machine", () => {
  const loopback = "127.0.0.1,localhost,::1"
  for (const [given, own, expected] of [
    [{ https_proxy: "http://p" }, {}, { https_proxy: "http://p", NO_PROXY: loopback, no_proxy: loopback }],
    [
      { HTTP_PROXY: "http://p", ALL_PROXY: "socks://p", no_proxy: "a.example, localhost" },
      {},
      {
        HTTP_PROXY: "http://p",
        ALL_PROXY: "socks://p",
        NO_PROXY: "a.example,localhost,127.0.0.1,::1",
        no_proxy: "a.example,localhost,127.0.0.1,::1"
      }
    ],
    [
      { all_proxy: "p", NO_PROXY: "a", no_proxy: "*" },
      {},
      { all_proxy: "p", NO_PROXY: `a,${loopback}`, no_proxy: "*" }
    ],
    [{ NO_PROXY: "a" }, {}, { NO_PROXY: "a" }],
    [{ HTTPS_PROXY: "" }, {}, { HTTPS_PROXY: "" }],
    // A definition can do without the server's proxy, or have another, in whichever case the server's is set.
    [{ https_proxy: "http://p" }, { HTTPS_PROXY: "" }, { HTTPS_PROXY: "" }],
    [{}, { HTTPS_PROXY: "http://q" }, { HTTPS_PROXY: "http://q", NO_PROXY: loopback, no_proxy: loopback }]
  ] as const) {
    const environment = AgentEnvironment.make({ ...agent, env: own }, { ...server, ...given })
    assert.deepStrictEqual(environment, { ...standard, ...expected }, JSON.stringify([given, own]))
  }
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
      const proxies = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"]
      const standard = ["PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR", "FORGE_AGENT_MARK"]
      const own = ["GIVEN", "AGENT_TEST_PASSED"]
      const expected = [...standard, ...own, ...proxies, ...proxies.map((name) => name.toLowerCase())]
      assert.deepStrictEqual(
        Object.keys(environment).filter((name) => !expected.includes(name)),
        []
      )
    })
  )
})
