import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Console, Effect, Exit, FileSystem, Layer } from "effect"
import { Command } from "effect/cli"
import * as Demo from "../../src/cli/Demo.ts"
import { report } from "../../src/cli/Failure.ts"
import * as Help from "../../src/cli/Help.ts"
import * as Screen from "../../src/cli/Screen.ts"
import * as Serve from "../../src/cli/Serve.ts"

const forge = Command.make("forge").pipe(Command.withSubcommands([Demo.command, Serve.command]))

const services = Layer.mergeAll(Screen.layer, Help.layer).pipe(Layer.provideMerge(NodeServices.layer))

/** Runs the command and returns its output. */
const run = Effect.fnUntraced(function* (args: ReadonlyArray<string>, env: Record<string, string> = {}) {
  const printed = { stdout: "", stderr: "" }
  const recorder: Console.Console = Object.assign(Object.create(console), {
    log: (text: unknown) => (printed.stdout += `${String(text)}\n`),
    error: (text: unknown) => (printed.stderr += `${String(text)}\n`)
  })
  const exit = yield* Command.runWith(forge, { version: "0" })(args).pipe(
    Effect.tapCause(report),
    Effect.exit,
    Effect.provide([services, ConfigProvider.layer(ConfigProvider.fromEnv({ env }))]),
    Effect.provideService(Console.Console, recorder)
  )
  return { ...printed, failed: Exit.isFailure(exit) }
})

/** Runs a misuse and returns its sentence, after checking that nothing else was printed. */
const misuse = (args: ReadonlyArray<string>, env?: Record<string, string>) =>
  Effect.map(run(args, env), ({ failed, stderr, stdout }) => {
    assert.deepStrictEqual([failed, stdout], [true, ""], args.join(" "))
    assert.match(stderr, /^forge: [^\n]+\n$/)
    return stderr.slice("forge: ".length, -1)
  })

describe("Help", () => {
  it.effect("a misuse is reported in one sentence on standard error that refers to the help", () =>
    Effect.gen(function* () {
      const serve = "(forge serve --help shows all)"
      for (const [args, sentence] of [
        [[], "Missing command. Expected: demo | serve (forge --help shows all)"],
        [["nope"], 'Unknown subcommand "nope" for "forge" (forge --help shows all)'],
        [["serve", "--nope"], `Unrecognized flag: --nope in command forge serve ${serve}`],
        [
          ["serve", "--max-run=3"],
          `Unrecognized flag: --max-run in command forge serve. Did you mean this? --max-runs ${serve}`
        ],
        [["serve", "--nope", "--max-runs=0"], `Unrecognized flag: --nope in command forge serve ${serve}`],
        [["serve", "extra"], `Unexpected positional argument: "extra" ${serve}`],
        [["serve", "--grace"], `Missing value for flag --grace. Expected: time ${serve}`],
        [["serve", "--data=", "--nope\u001b[2J\n"], `Unrecognized flag: --nope\\x1b[2J in command forge serve ${serve}`]
      ] as const) {
        assert.strictEqual(yield* misuse(args), sentence)
      }
    })
  )

  it.effect("help goes to standard output, with defaults and environment variables", () =>
    Effect.gen(function* () {
      const { failed, stderr, stdout } = yield* run(["serve", "--help"])
      assert.deepStrictEqual([failed, stderr], [false, ""])
      const variables = ["ADMIN_TOKEN", "SESSION_TTL_SECS", "SESSION_HARD_TTL_SECS"].map((name) => `CLAWDFORGE_${name}`)
      for (const text of [...variables, "ALLOW_CIDRS", "$XDG_STATE_HOME", "(default 64)"]) assert.include(stdout, text)
      assert.notInclude(stdout, "--wizard")
    })
  )

  it.effect("each flag describes its values when it is given an invalid one", () =>
    Effect.gen(function* () {
      const duration = 'a duration from 0 to 100 years, such as "10 minutes", or seconds'
      const size = "a size from 1 byte to 1 PB, such as 900kB, 200MB or 1GiB, or a number of bytes"
      const count = "a whole number from 1 to 1000000"
      for (const [flag, value, expected] of [
        ["listen", ":8800", "an address and a port, such as 127.0.0.1:8800"],
        ["data", " ", "a folder"],
        ["agents", " ", "a file"],
        ["admin-token-file", " ", "a file"],
        ["allowed-host", "http://x/y", "the name of a host, such as forge.example"],
        ["cors-origin", "banana", "an origin as browsers send it, such as https://app.example"],
        ["trust-proxy", "banana", "a network, such as 10.0.0.0/8"],
        [
          "workspace",
          "Shop=/srv",
          "a name of lower-case letters, digits, _ and -, and a folder, such as shop=/srv/shop"
        ],
        [
          "shared-workspace",
          "shop",
          "a name of lower-case letters, digits, _ and -, and a folder, such as shop=/srv/shop"
        ],
        ["start-timeout", "0", 'a duration from 1s to 100 years, such as "10 minutes", or seconds'],
        ["max-turn-timeout", "4.9", 'a duration from 5s to 100 years, such as "10 minutes", or seconds'],
        ...["grace", "hard-ttl", "keyed-call-linger", "session-ttl", "sleep-after"].map(
          (flag) => [flag, "400000000 days", duration] as const
        ),
        ...["max-app-uploads", "max-kept-frames", "max-upload"].map((flag) => [flag, "10QB", size] as const),
        ...[
          "max-app-sessions",
          "max-app-streams",
          "max-app-turns",
          "max-live-sessions",
          "max-processes",
          "max-runs"
        ].map((flag) => [flag, "0", count] as const)
      ] as const) {
        assert.strictEqual(
          yield* misuse(["serve", `--${flag}=${value}`]),
          `Invalid value for flag --${flag}: "${value}". Expected ${expected} (forge serve --help shows all)`
        )
      }
    })
  )

  it.effect("each environment variable describes its values when it has an invalid one", () =>
    Effect.gen(function* () {
      const token = { CLAWDFORGE_ADMIN_TOKEN: "x".repeat(40) }
      for (const name of ["CLAWDFORGE_SESSION_TTL_SECS", "CLAWDFORGE_SESSION_HARD_TTL_SECS"]) {
        for (const value of ["-1", "1 hour", "1e99", "3155760001", " "]) {
          assert.strictEqual(
            yield* misuse(["serve"], { ...token, [name]: value }),
            `${name} is "${value}": it must be a number of seconds from 0 to 3155760000 (forge serve --help shows all)`
          )
        }
      }
      for (const [env, sentence] of [
        [
          { HOME: "/", ALLOW_CIDRS: "10.0.0.0/8, banana" },
          'ALLOW_CIDRS: "banana" is not a network, such as 10.0.0.0/8'
        ],
        [{ HOME: "relative" }, "there is no HOME for the data: name a folder with --data"],
        [{}, "there is no HOME for the data: name a folder with --data"]
      ] as const) {
        assert.strictEqual(yield* misuse(["serve"], { ...token, ...env }), sentence)
      }
    })
  )

  it.effect("a table of which no agent can be started is a misuse", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const file = yield* fs.makeTempFileScoped()
      const table = {
        a: { command: ["/nonexistent/a", "--key=canary"] },
        b: { command: ["b"], wrap: ["no-such-wrap"] }
      }
      yield* fs.writeFileString(file, JSON.stringify(table))
      const env = { CLAWDFORGE_ADMIN_TOKEN: "x".repeat(40), HOME: "/" }
      assert.strictEqual(
        yield* misuse(["serve", "--agents", file], env),
        "no agent can be started: a (the command /nonexistent/a was not found), b (the command no-such-wrap was not found)"
      )
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.effect("an empty prompt is a misuse", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* misuse(["demo", " "]), "a prompt must not be empty")
    })
  )
})
