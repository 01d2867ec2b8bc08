import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Redacted, Schedule } from "effect"
import { spawn } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { DatabaseSync } from "node:sqlite"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as ForgeAdmin from "../../src/ForgeAdmin.ts"
import * as NodeForgeAdmin from "../../src/node/NodeForgeAdmin.ts"
import * as Migrations from "../../src/server/storage/Migrations.ts"
import { appOf, call } from "../server/Support.ts"
import { patience } from "../support/Patience.ts"
import { goneWithFolder, withFolder } from "../support/Processes.ts"
import { eventually } from "../support/Eventually.ts"

const adminToken = "the-admin-token-of-this-test-0123456789"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "serve-test-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

interface Options {
  /** Set in the environment of the program and so of all its descendants, by which they are found. */
  readonly home: string
  readonly env?: Readonly<Record<string, string>>
  readonly command?: readonly [string, ...ReadonlyArray<string>]
}

const free = "--listen=127.0.0.1:0"

const direct = [process.execPath, "src/cli/forge.ts"] as const
const throughNpm = ["npm", "run", "--silent", "forge", "--"] as const

/** Starts `forge serve`, and kills it when the scope closes. */
const serve = Effect.fnUntraced(function* (args: ReadonlyArray<string>, { command = direct, env, home }: Options) {
  const out = { stdout: "", stderr: "" }
  const listening = yield* Deferred.make<string>()
  const exit = yield* Deferred.make<number | null>()
  const [program, ...rest] = command
  const child = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const child = spawn(program, [...rest, "serve", ...args], {
        detached: true,
        env: { PATH: process.env["PATH"], HOME: home, TMPDIR: home, CLAWDFORGE_ADMIN_TOKEN: adminToken, ...env },
        stdio: ["ignore", "pipe", "pipe"]
      })
      child.stdout.on("data", (chunk) => {
        out.stdout += String(chunk)
        const url = /^listening (http:\S+)\n/.exec(out.stdout)?.[1]
        if (url !== undefined) Deferred.doneUnsafe(listening, Effect.succeed(url))
      })
      child.stderr.on("data", (chunk) => (out.stderr += String(chunk)))
      child.on("close", (code) => {
        Deferred.doneUnsafe(exit, Effect.succeed(code))
        Deferred.doneUnsafe(listening, Effect.die(new Error(`it exited: ${out.stderr}${out.stdout}`)))
      })
      return child
    }),
    // The watchdog kills its agents.
    (child) =>
      Effect.sync(() => {
        if (child.exitCode === null && child.signalCode === null) process.kill(-(child.pid ?? 0), "SIGKILL")
      })
  )
  return { child, out, url: Deferred.await(listening), exit: Deferred.await(exit) }
})

/** Mints a token through the client and returns the app. */
const mint = Effect.fnUntraced(function* (url: string, name: string) {
  const { token } = yield* ForgeAdmin.ForgeAdmin.use((admin) => admin.mint(name)).pipe(
    Effect.provide(NodeForgeAdmin.layer({ url, token: Redacted.make(adminToken) })),
    Effect.orDie
  )
  return appOf(url, Redacted.value(token))
})

const environmentOf = (pid: number) => readFileSync(`/proc/${pid}/environ`, "latin1").replaceAll("\0", "\n")

const kill = (pid: number | undefined, signal: NodeJS.Signals) => Effect.sync(() => process.kill(pid ?? 0, signal))

describe("forge serve", () => {
  it.live("prints its address, serves, and exits on SIGTERM after the last turn", () =>
    Effect.gen(function* () {
      const home = yield* folder
      const server = yield* serve([free, "--grace", "5 minutes"], { home, command: throughNpm })
      const url = yield* server.url
      const app = yield* mint(url, "app")
      const { id } = yield* app.open
      assert.strictEqual((yield* app.turn(id, "Remember canary-prompt.")).status, 200)
      const last = yield* Effect.forkChild(app.turn(id, "/wait"))
      yield* app.turns(id, 2)

      yield* kill(server.child.pid, "SIGTERM")
      const ready = call(`${url}/readyz`, "GET")
      const answer = yield* ready.pipe(eventually("a server that is ending", ({ status }) => status === 503))
      assert.strictEqual(answer.text, '{"detail":"shutting down"}')
      for (const path of ["/sessions", `/sessions/${id}/turn`, "/run", "/files"]) {
        const refused = yield* app.request("POST", path, { body: {} })
        assert.deepStrictEqual([refused.status, refused.text], [503, '{"detail":"shutting down"}'], path)
        assert.match(refused.headers.get("retry-after") ?? "", /^\d+$/)
      }
      assert.strictEqual((yield* app.state(id)).turn_count, 2)
      assert.strictEqual((yield* app.request("POST", `/sessions/${id}/cancel`)).status, 200)
      assert.strictEqual((yield* Fiber.join(last)).status, 200)
      assert.strictEqual(yield* server.exit, 0)
      assert.strictEqual(server.out.stdout, `listening ${url}\n`)

      assert.match(
        server.out.stderr,
        /request_id=[0-9a-f-]{36} .*route=\/sessions\/:id\/turn session=\S{32} status=200/
      )
      for (const secret of [adminToken, app.token, "canary-prompt"]) assert.notInclude(server.out.stderr, secret)

      const data = join(home, ".local", "state", "clawdforge")
      assert.match(
        server.out.stderr,
        /^timestamp=\S+ level=INFO \S+ message="agent found" agent=demo command=\S+node /m
      )
      assert.include(
        server.out.stderr,
        `message="server started" url=${url} data=${data} permissions=allow networks=loopback`
      )
      assert.strictEqual(statSync(data).mode & 0o777, 0o700)
      assert.strictEqual(statSync(join(data, "ledger.db")).mode & 0o777, 0o600)
      yield* goneWithFolder(home)
    }).pipe(Effect.scoped)
  )

  /** Starts a server and a turn that does not end. */
  const busy = Effect.fnUntraced(function* (home: string, grace: string) {
    const server = yield* serve([free, "--data", join(home, grace), "--grace", grace], { home })
    const url = yield* server.url
    const app = yield* mint(url, "app")
    const { id } = yield* app.open
    yield* Effect.forkScoped(Effect.exit(app.turn(id, "/wait")))
    yield* app.turns(id, 1)
    return { ...server, url }
  })

  it.live("a turn that does not end within the grace is cancelled, and SIGINT exits with 130", () =>
    Effect.gen(function* () {
      const home = yield* folder
      const server = yield* busy(home, "2 seconds")
      yield* kill(server.child.pid, "SIGINT")
      assert.strictEqual(yield* server.exit, 130)
      yield* goneWithFolder(home)
    }).pipe(Effect.scoped)
  )

  it.live("a second signal exits at once, but a signal that npm forwards does not count as one", () =>
    Effect.gen(function* () {
      const home = yield* folder
      const { child, exit, url } = yield* busy(home, "10 minutes")
      yield* kill(child.pid, "SIGINT")
      yield* kill(child.pid, "SIGTERM")
      yield* call(`${url}/readyz`, "GET").pipe(eventually("a server that is ending", ({ status }) => status === 503))
      // A person takes longer, and may try again.
      yield* Effect.sync(() => child.kill("SIGTERM")).pipe(
        Effect.repeat(Schedule.spaced("600 millis")),
        Effect.delay("600 millis"),
        Effect.forkScoped
      )
      assert.strictEqual(yield* Effect.timeout(exit, patience), 143)
      yield* goneWithFolder(home)
    }).pipe(Effect.scoped)
  )

  it.live("has the agents of a file, each run by its wrap and without the server's secrets", () =>
    Effect.gen(function* () {
      const home = yield* folder
      const agents = join(home, "agents.json")
      const demo = [process.execPath, join(process.cwd(), "src/agent/demo/Main.ts")]
      writeFileSync(
        agents,
        JSON.stringify({
          demo: { command: demo, wrap: ["env", "WRAPPED=yes"], env: { GIVEN: "yes" }, passEnv: ["PASSED"] }
        })
      )
      writeFileSync(join(home, "token"), `${adminToken}\n`, { mode: 0o600 })
      const args = ["--agents", agents, "--admin-token-file", join(home, "token"), "--max-app-uploads", "5kB"]
      const server = yield* serve([free, ...args], {
        home,
        env: { CLAWDFORGE_ADMIN_TOKEN: "", PASSED: "yes", NOT_PASSED: "canary", CLAWDFORGE_SECRET: "canary" }
      })
      const app = yield* mint(yield* server.url, "app")
      const { id } = yield* app.open
      assert.strictEqual((yield* app.turn(id, "hello")).status, 200)
      const agentPids = withFolder(home).filter((pid) => environmentOf(pid).includes("WRAPPED=yes"))
      assert.lengthOf(agentPids, 1)
      const environments = agentPids.map((pid) => environmentOf(pid))
      // Files created by an agent are private to the user.
      assert.match(readFileSync(`/proc/${agentPids[0]}/status`, "utf8"), /^Umask:\t0077$/m)
      for (const text of ["GIVEN=yes", "PASSED=yes"]) assert.include(environments[0], text)
      for (const text of ["canary", "ADMIN_TOKEN", adminToken]) assert.notInclude(environments[0], text)
      const form = (size: number) => ({
        headers: { "content-type": "multipart/form-data; boundary=B" },
        body: `--B\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n${"x".repeat(size)}\r\n--B--\r\n`
      })
      assert.strictEqual((yield* app.request("POST", "/files", form(100))).status, 200)
      assert.strictEqual((yield* app.request("POST", "/files", form(100))).status, 429)
    }).pipe(Effect.scoped)
  )

  it.live("a failure to start is one sentence and exit code 1, a misuse exit code 2", () =>
    Effect.gen(function* () {
      const home = yield* folder
      const newer = join(home, "newer")
      const first = yield* serve([free, "--data", newer], { home })
      yield* first.url
      const busy = yield* refusal([free, "--data", newer], { home })
      assert.deepStrictEqual(busy, [1, `forge: another server is running on the data folder ${newer}\n`, ""])
      yield* kill(first.child.pid, "SIGTERM")
      yield* first.exit
      const ledger = new DatabaseSync(join(newer, "ledger.db"))
      ledger.exec("INSERT INTO effect_sql_migrations (migration_id, name) VALUES (99, 'later')")
      ledger.close()

      const refusals: ReadonlyArray<readonly [ReadonlyArray<string>, number, string]> = [
        [["--data", newer], 1, `the ledger is of a newer version (99) than this server knows (${Migrations.latest})`],
        [["--agents", join(home, "nope")], 2, `the agents file ${join(home, "nope")} cannot be read`],
        [["--listen=0.0.0.0:0"], 2, "0.0.0.0 can be reached from other machines: set --permissions"],
        [
          ["--max-upload", "2GB"],
          2,
          "a file may be of 2 GB (max-upload), and all files of an app together only of 1 GB"
        ],
        [["--no-such-flag"], 2, "Unrecognized flag: --no-such-flag"]
      ]
      yield* Effect.forEach(
        refusals,
        Effect.fnUntraced(function* ([args, code, sentence]) {
          const [exit, stderr, stdout] = yield* refusal(args, { home })
          assert.strictEqual(exit, code, sentence)
          assert.include(stderr, sentence)
          assert.match(stderr, /^forge: [^\n]+\n$/)
          assert.strictEqual(stdout, "")
        }),
        { concurrency: 2, discard: true }
      )
    }).pipe(Effect.scoped)
  )
})

/** Runs a server that fails to start, and returns its exit code and output. */
const refusal = Effect.fnUntraced(function* (args: ReadonlyArray<string>, options: Options) {
  const { exit, out } = yield* serve(args, options)
  const code = yield* exit
  return [code, out.stderr, out.stdout] as const
}, Effect.scoped)
