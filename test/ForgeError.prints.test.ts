/**
 * What a program prints that failed, as `NodeRuntime.runMain` does: which call, and what is wrong with what.
 */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import { assert, describe, it } from "@effect/vitest"
import { Cause, ConfigProvider, Effect, Exit, Redacted } from "effect"
import { Forge, type ForgeClient, SessionInfo, Upload } from "../src/index.ts"
import { NodeForgeClient } from "../src/node/index.ts"
import * as Connections from "./support/Connections.ts"
import * as MemoryServer from "./support/MemoryServer.ts"
import { type Answer, created } from "./support/ScriptedServer.ts"

/** The lines of a printed cause above its stack frames. */
const printed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.exit(effect), (exit) =>
    Exit.isFailure(exit)
      ? Cause.pretty(exit.cause)
          .split("\n")
          .filter((line) => !/^\s+at [^[]/.test(line))
      : []
  )

const id = SessionInfo.sessionId("s-1")
const run = Forge.run("hello")
const turn = Forge.withSession({}, (session) => session.turn("hello"))
const file = Upload.fromBytes("notes.txt", new Uint8Array(1))

const inRun = "    in Forge.run (POST /run)"
const inTurn = "    in Session.turn (POST /sessions/s-1/turn)"
const detail = (status: number, sentence: string): Answer => ({ status, json: { detail: sentence } })
const failed = {
  ok: false,
  error: "Agent demo was terminated by SIGKILL.",
  stderr: "",
  duration_ms: 1,
  stop_reason: "error"
}

type Lines = ReadonlyArray<string>
const answers: ReadonlyArray<
  readonly [string, Effect.Effect<unknown, unknown, ForgeClient.ForgeClient>, Answer, Lines]
> = [
  ["an unknown token", run, detail(401, "invalid token"), ["AuthError: invalid token", inRun]],
  [
    "an address that is not allowed",
    run,
    detail(403, "address not allowed"),
    ["AuthError: address not allowed", inRun]
  ],
  [
    "a session that does not exist",
    Forge.attach(id),
    detail(404, "session not found"),
    ["ApiError: session not found", "    in Session.state (GET /sessions/s-1)"]
  ],
  ["a file that does not exist", turn, detail(404, "file not found"), ["ApiError: file not found", inTurn]],
  [
    "a request that is too large",
    Forge.upload(file),
    detail(413, "file larger than 100 MiB"),
    ["ApiError: file larger than 100 MiB", '    in Forge.upload of "notes.txt" (POST /files)']
  ],
  [
    "input that the server refuses",
    run,
    { status: 422, json: { detail: [{ loc: ["body", "model"], msg: "no such model", type: "x" }] } },
    ["ApiError: body.model: no such model", inRun]
  ],
  [
    "an agent that fails",
    turn,
    { status: 502, json: failed },
    ["ApiError: Agent demo was terminated by SIGKILL.", inTurn]
  ],
  [
    "a full pool",
    Forge.withSession({}, () => Effect.void),
    detail(503, "session pool is full"),
    ["ApiError: session pool is full", "    in Forge.session (POST /sessions)"]
  ],
  [
    "a failure with an id",
    run,
    { status: 500, headers: { "x-request-id": "req-1" } },
    ["ApiError: the server answered 500 and gave no reason", "    in Forge.run (POST /run), request req-1"]
  ],
  [
    "a closed session",
    turn,
    detail(410, "session is closed"),
    [
      "SessionClosed: session s-1 is closed on the server (idle for too long, revoked, or by another handle): open another with Forge.session"
    ]
  ],
  [
    "a page",
    run,
    { text: "<p>Welcome</p>" },
    ["TransportError: the answer of http://forge.test (200) is not of the clawdforge contract: it is not JSON", inRun]
  ],
  [
    "a redirect",
    run,
    { status: 307 },
    [
      "TransportError: the answer of http://forge.test (307) is not of the clawdforge contract: it is a redirect, which is not followed because it would carry the token elsewhere",
      inRun
    ]
  ],
  [
    "a connection that breaks",
    run,
    "reset",
    ["TransportError: the connection to http://forge.test broke before the answer was whole (ECONNRESET)", inRun]
  ]
]

describe("a program that fails prints the call, and what is wrong", () => {
  for (const [name, call, answer, expected] of answers) {
    it.effect(name, () =>
      Effect.map(printed(call), (lines) => assert.deepStrictEqual(lines, expected)).pipe(
        Effect.provide(
          MemoryServer.layer(
            ({ method, path }) =>
              call === turn && path === "/sessions"
                ? { json: created(1) }
                : method === "DELETE"
                  ? { json: { ok: true } }
                  : answer,
            { retry: false }
          )
        )
      )
    )
  }

  it.effect("input that is not sent", () =>
    Effect.map(printed(Forge.run("", { timeout: -1 })), (lines) =>
      assert.deepStrictEqual(lines, [
        'ApiError: prompt must not be empty; timeout must be a span of time, "2 minutes" for one, and not negative',
        inRun
      ])
    ).pipe(Effect.provide(MemoryServer.layer(() => "reset")))
  )

  it.live("a server that is not there", () =>
    Effect.gen(function* () {
      const url = `http://127.0.0.1:${yield* Connections.abandonedPort}`
      const client = NodeForgeClient.layer({ url, token: Redacted.make("cf_x"), retry: false })
      assert.deepStrictEqual(yield* printed(Effect.provide(run, client)), [
        `TransportError: no connection to ${url} (ECONNREFUSED): is a clawdforge server running there?`,
        inRun
      ])
    })
  )

  it.live("a file that cannot be read", () =>
    Effect.gen(function* () {
      const lines = yield* printed(
        Effect.flatMap(Upload.fromPath("/nowhere/notes.txt"), (source) => Forge.upload(source))
      )
      assert.match(lines[0] ?? "", /^PlatformError: NotFound: .*\/nowhere\/notes\.txt/)
    }).pipe(Effect.provide([MemoryServer.layer(() => "reset"), NodeFileSystem.layer, NodePath.layer]))
  )

  const variables: Record<string, readonly [Record<string, string>, Lines]> = {
    "a missing token": [
      {},
      [
        "ConfigError: SchemaError(CLAWDFORGE_TOKEN must be set to the token for the server",
        '  at ["CLAWDFORGE_TOKEN"]) {',
        "  [cause]: SchemaError: CLAWDFORGE_TOKEN must be set to the token for the server",
        '    at ["CLAWDFORGE_TOKEN"]',
        "}"
      ]
    ],
    "a token that no header can carry": [
      { CLAWDFORGE_TOKEN: "cf x" },
      [
        "ApiError: CLAWDFORGE_TOKEN must be redacted and not empty, and must not hold spaces, control characters or letters beyond ASCII",
        "    in ForgeClient.make"
      ]
    ],
    "a bad address": [
      { CLAWDFORGE_TOKEN: "cf_x", CLAWDFORGE_URL: "forge.test" },
      [
        "ApiError: CLAWDFORGE_URL must be an http or https URL, http://127.0.0.1:8800 for one",
        "    in ForgeClient.make"
      ]
    ]
  }
  for (const [name, [environment, expected]] of Object.entries(variables)) {
    it.effect(`${name} in the environment`, () =>
      Effect.gen(function* () {
        const provider = ConfigProvider.fromUnknown(environment)
        const lines = yield* printed(Effect.provide(run, NodeForgeClient.layerConfig())).pipe(
          Effect.provideService(ConfigProvider.ConfigProvider, provider)
        )
        assert.deepStrictEqual(lines, expected)
      })
    )
  }
})
