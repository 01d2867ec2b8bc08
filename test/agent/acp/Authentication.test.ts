import { assert, it } from "@effect/vitest"
import { Duration, Effect, Schema } from "effect"
import type { AgentDefinition } from "../../../src/agent/Agent.ts"
import { type AgentConnection, RequestRefused } from "../../../src/agent/acp/AgentConnection.ts"
import * as Authentication from "../../../src/agent/acp/Authentication.ts"

it("a method is chosen if all that it needs is in the agent's environment, and never one that needs a person", () => {
  const gemini = [
    { id: "oauth-personal", name: "Log in with Google", description: "Log in with your Google account" },
    { id: "gemini-api-key", name: "Gemini API key", description: "Use an API key with Gemini Developer API" },
    { id: "vertex-ai", name: "Vertex AI", description: "Use an API key with Vertex AI GenAI API" }
  ]
  const description = "Requires setting the `OPENAI_API_KEY` environment variable"
  const qwen = [{ id: "openai", name: "Use OpenAI API key", description }]
  const variable = (...names: ReadonlyArray<string>) => ({
    id: names.join("+"),
    name: "Key",
    type: "env_var",
    vars: names.map((name) => ({ name: name.replace("?", ""), optional: name.endsWith("?") }))
  })
  const terminal = { id: "some-api-key", name: "Set the key", type: "terminal" }
  for (const [methods, environment, expected] of [
    [gemini, { GEMINI_API_KEY: "k" }, "gemini-api-key"],
    [gemini, { GEMINI_API_KEY: "" }, undefined],
    [gemini, { GOOGLE_API_KEY: "k" }, undefined],
    [qwen, { OPENAI_API_KEY: "k" }, "openai"],
    [qwen, { OPENAI_BASE_URL: "u" }, undefined],
    [[{ id: "xai.api_key", name: "xAI" }], { XAI_API_KEY: "k" }, "xai.api_key"],
    [[{ id: "acme", name: "Acme", type: null }], { ACME_API_KEY: "k" }, "acme"],
    [[{ id: "home", name: "Home" }], { HOME: "/" }, undefined],
    [[variable("A_KEY", "A_URL"), variable("B_KEY")], { A_KEY: "k", B_KEY: "k" }, "B_KEY"],
    [[variable("A_KEY", "A_URL?")], { A_KEY: "k" }, "A_KEY+A_URL?"],
    [[variable("A_KEY?", "B_KEY?")], {}, undefined],
    [[variable()], { A_KEY: "k" }, undefined],
    [[terminal], { SOME_API_KEY: "k" }, undefined],
    [[{ id: "acme", name: "Sign in, or use the key" }], { ACME_API_KEY: "k" }, undefined],
    [[42, { id: "" }, { name: "no id" }, { id: "acme" }], { ACME_API_KEY: "k" }, "acme"],
    [{ id: "acme" }, { ACME_API_KEY: "k" }, undefined]
  ] as const) {
    assert.strictEqual(Authentication.methodOf(methods, environment), expected, JSON.stringify([methods, environment]))
  }
})

type Refusal = Partial<ConstructorParameters<typeof RequestRefused>[0]>

/** A connection that records its requests, and refuses each as many times as is said. */
const makeConnection = (refusals: Record<string, ReadonlyArray<Refusal>>) => {
  const requests: Array<string> = []
  const response: unknown = {}
  const left = new Map(Object.entries(refusals).map(([method, all]) => [method, [...all]]))
  const connection: AgentConnection = {
    request: ({ answer, method, params }) =>
      Effect.suspend(() => {
        requests.push(method === "authenticate" ? `${method} ${String(params["methodId"])}` : method)
        const refused = left.get(method)?.shift()
        return refused === undefined
          ? Effect.orDie(Schema.decodeUnknownEffect(answer)(response))
          : Effect.fail(new RequestRefused({ code: -32000, reason: "Log in first", afterReports: false, ...refused }))
      }),
    notify: () => Effect.void,
    beginTurn: Effect.void,
    ended: Effect.never,
    exited: Effect.never
  }
  return { connection, requests }
}

const definition: AgentDefinition = { name: "a", command: ["a"], permissions: "allow", env: { ACME_API_KEY: "k" } }

const withAuthentication = (connection: AgentConnection, agent = definition) =>
  Authentication.withAuthentication({
    connection,
    definition: agent,
    authMethods: [{ id: "acme", name: "Acme" }],
    within: Duration.seconds(1)
  })

const request = (connection: AgentConnection, method: string) =>
  connection.request({ method, params: {}, answer: Schema.Unknown })

it.effect(
  "a request that is refused for want of authentication is sent again after authenticate, once per process",
  () =>
    Effect.gen(function* () {
      const { connection, requests } = makeConnection({ "session/new": [{}], "session/prompt": [{}] })
      const authenticated = withAuthentication(connection)
      yield* request(authenticated, "session/new")
      assert.deepStrictEqual(requests, ["session/new", "authenticate acme", "session/new"])
      const refused = yield* Effect.flip(request(authenticated, "session/prompt"))
      assert.strictEqual(refused.message, "Log in first")
      assert.deepStrictEqual(requests.slice(3), ["session/prompt"])
    })
)

it.effect("a prompt is not sent again to an agent that has reported something, and no request for another reason", () =>
  Effect.gen(function* () {
    for (const refusal of [{ afterReports: true }, { code: -32603 }]) {
      const { connection, requests } = makeConnection({ "session/prompt": [refusal] })
      yield* Effect.flip(request(withAuthentication(connection), "session/prompt"))
      assert.deepStrictEqual(requests, ["session/prompt"])
    }
  })
)

it.effect("the definition's authMethod comes first; without a usable method, authenticate is not sent", () =>
  Effect.gen(function* () {
    const named = makeConnection({ "session/new": [{}] })
    yield* request(withAuthentication(named.connection, { ...definition, authMethod: "mine" }), "session/new")
    assert.deepStrictEqual(named.requests, ["session/new", "authenticate mine", "session/new"])
    const { connection, requests } = makeConnection({ "session/new": [{}] })
    const refused = yield* Effect.flip(
      request(withAuthentication(connection, { ...definition, env: {} }), "session/new")
    )
    assert.strictEqual(refused.message, "Log in first")
    assert.deepStrictEqual(requests, ["session/new"])
  })
)

it.effect("the reason of a refused authenticate is that of the request, which can still be tried again later", () =>
  Effect.gen(function* () {
    const refusals = { "session/load": [{}], authenticate: [{ code: -32603, reason: "The key has expired" }] }
    const { connection } = makeConnection(refusals)
    const refused = yield* Effect.flip(request(withAuthentication(connection), "session/load"))
    assert.deepInclude(refused, { _tag: "RequestRefused", code: -32000, message: "The key has expired" })
  })
)
