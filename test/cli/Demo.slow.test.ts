import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { childrenOf, goneWithFolder, withFolder } from "../support/Processes.ts"
import { eventually } from "../support/Eventually.ts"

interface Run {
  readonly child: ChildProcess
  /** Set in the environment of the program and so of all its descendants, by which they are found. */
  readonly folder: string
  readonly output: () => string
  /** Waits until the program has printed this text. */
  readonly printed: (text: string) => Effect.Effect<void>
  readonly exit: Effect.Effect<{ readonly code: number | null; readonly signal: string | null }>
}

// Colours must depend on the output alone, and node warns if both variables are set.
const { FORCE_COLOR: _, NO_COLOR: __, ...environment } = process.env

const start = (command: string, args: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.sync((): Run => {
      const folder = mkdtempSync(join(tmpdir(), "demo-test-"))
      // In its own process group, as a terminal starts each command.
      const child = spawn(command, args, {
        detached: true,
        env: { ...environment, HOME: folder, TMPDIR: folder },
        stdio: ["ignore", "pipe", "pipe"]
      })
      let output = ""
      const pending = new Map<string, Deferred.Deferred<void>>()
      const onOutput = (chunk: Buffer) => {
        output += chunk.toString()
        for (const [text, seen] of pending) if (output.includes(text)) Deferred.doneUnsafe(seen, Effect.void)
      }
      child.stdout.on("data", onOutput)
      child.stderr.on("data", onOutput)
      const exit = Deferred.makeUnsafe<{ readonly code: number | null; readonly signal: string | null }>()
      child.on("close", (code, signal) => Deferred.doneUnsafe(exit, Effect.succeed({ code, signal })))
      return {
        child,
        folder,
        output: () => output,
        printed: (text) => {
          const seen = Deferred.makeUnsafe<void>()
          pending.set(text, seen)
          if (output.includes(text)) Deferred.doneUnsafe(seen, Effect.void)
          const ended = Effect.flatMap(Deferred.await(exit), () => Effect.die(new Error(`it exited: ${output}`)))
          return Effect.raceFirst(Deferred.await(seen), ended)
        },
        exit: Deferred.await(exit)
      }
    }),
    ({ folder }) =>
      Effect.sync(() => {
        for (const pid of withFolder(folder)) process.kill(pid, "SIGKILL")
        rmSync(folder, { recursive: true, force: true })
      })
  )

/** The folders that a server left in the temporary folder. */
const clawdforgeFolders = (folder: string) => readdirSync(folder).filter((name) => name.startsWith("clawdforge-"))

/** Waits until none is left: the folder of a killed server is removed after its processes. */
const noFolder = (folder: string) =>
  Effect.sync(() => clawdforgeFolders(folder)).pipe(
    eventually("the removal of the server's folder", (left) => left.length === 0)
  )

const npmStart = (...prompts: ReadonlyArray<string>) => start("npm", ["start", "--silent", "--", ...prompts])

/** Printed before the server is loaded, which takes a second. */
const starting = "starting a local server and an agent…\n"

describe("npm start", () => {
  it.live("takes two turns, the second about what only the first one said, and shows the ledger", () =>
    Effect.gen(function* () {
      const word = `word-${process.hrtime.bigint()}`
      const run = yield* npmStart(`Remember the word ${word}.`, "Which word did I tell you?")
      assert.deepStrictEqual(yield* run.exit, { code: 0, signal: null })
      assert.isTrue(run.output().startsWith(starting), run.output())
      const second = run.output().split("Which word did I tell you?")[1] ?? ""
      assert.include(second, word)
      assert.include(run.output(), "confirmed by the server")
      for (const line of [/ create$/m, / turn 1 +end_turn/m, / turn 2 +end_turn/m, / close$/m])
        assert.match(run.output(), line)
      // In a pipe there are no escape codes.
      assert.notInclude(run.output(), "\u001b")
      yield* goneWithFolder(run.folder)
    }).pipe(Effect.scoped)
  )

  it.live("without prompts, asks the agent to remember a random word, which the second answer contains", () =>
    Effect.gen(function* () {
      const run = yield* npmStart()
      assert.deepStrictEqual(yield* run.exit, { code: 0, signal: null })
      const word = /Remember the word "([^"]+)"/.exec(run.output())?.[1] ?? "no word"
      assert.include(run.output().split("Which word did I tell you?")[1] ?? "", word)
    }).pipe(Effect.scoped)
  )

  it.live("exits with code 1 and one sentence if a turn fails", () =>
    Effect.gen(function* () {
      const run = yield* npmStart("/fail nothing works today", "never asked")
      assert.strictEqual((yield* run.exit).code, 1)
      // The prompt may show up, but not in the error.
      assert.match(run.output(), /^forge: Agent demo failed the turn:/m)
      assert.notMatch(run.output(), /^ +at /m)
      assert.notInclude(run.output(), "never asked")
      yield* goneWithFolder(run.folder)
    }).pipe(Effect.scoped)
  )
})

describe("an agent that cannot start", () => {
  it.live("is reported with the last lines of its standard error, shortened and without escape codes", () =>
    Effect.gen(function* () {
      const script = [
        "echo '#!/bin/sh' > $TMPDIR/claude-agent-acp",
        `echo 'for n in 1 2 3 4; do printf "line $n \\033[31m%01000d\\n" 0 >&2; done' >> $TMPDIR/claude-agent-acp`,
        `echo 'echo "Set a key first." >&2; exit 7' >> $TMPDIR/claude-agent-acp`,
        "chmod +x $TMPDIR/claude-agent-acp",
        "PATH=$TMPDIR:$PATH exec npm start --silent -- --agent claude"
      ]
      const run = yield* start("sh", ["-c", script.join("\n")])
      assert.strictEqual((yield* run.exit).code, 1)
      const lines = run.output().split("\n")
      const report = lines.slice(lines.findIndex((line) => line.startsWith("forge: ")))
      assert.deepStrictEqual(
        report.map((line) => line.slice(0, 40)),
        [
          "forge: Agent claude exited with code 7.",
          `  line 3 [31m${"0".repeat(27)}`,
          `  line 4 [31m${"0".repeat(27)}`,
          "  Set a key first.",
          ""
        ]
      )
      for (const line of report) assert.isBelow(line.length, 210)
    }).pipe(Effect.scoped)
  )
})

describe("an output that is closed or full", () => {
  it.live("a closed pipe stops the command without an error, and no folder is left", () =>
    Effect.gen(function* () {
      const run = yield* start("sh", ["-c", "npm start --silent -- a b | head -1"])
      yield* run.exit
      yield* goneWithFolder(run.folder)
      assert.match(run.output(), /^starting [^\n]*\nserver .*\n$/)
      assert.deepStrictEqual(clawdforgeFolders(run.folder), [])
    }).pipe(Effect.scoped)
  )

  it.live("a full disk is reported", () =>
    Effect.gen(function* () {
      const run = yield* start("sh", ["-c", "npm start --silent > /dev/full"])
      assert.strictEqual((yield* run.exit).code, 1)
      assert.strictEqual(run.output().replace(starting, ""), "forge: the output cannot be written to (ENOSPC)\n")
      assert.deepStrictEqual(clawdforgeFolders(run.folder), [])
    }).pipe(Effect.scoped)
  )
})

describe("closing the terminal", () => {
  it.live("shuts down gracefully and leaves no folder", () =>
    Effect.gen(function* () {
      const run = yield* npmStart("/wait")
      yield* run.printed("you ›")
      process.kill(-(run.child.pid ?? 0), "SIGHUP")
      yield* goneWithFolder(run.folder)
      assert.deepStrictEqual(clawdforgeFolders(run.folder), [])
    }).pipe(Effect.scoped)
  )
})

describe("killing npm while node is still starting leaves no process behind", () => {
  for (const millis of [100, 200, 300, 400, 500]) {
    it.live(`${millis} ms after the start`, () =>
      Effect.gen(function* () {
        const run = yield* npmStart("/wait")
        // No event marks the moments that are tested here.
        yield* Effect.sleep(millis)
        process.kill(run.child.pid ?? 0, "SIGKILL")
        yield* run.exit
        yield* goneWithFolder(run.folder)
      }).pipe(Effect.scoped)
    )
  }
})

describe("a signal at any moment leaves no process behind", () => {
  /** After SIGKILL the watchdog has to find the processes, even of an agent that was just starting. */
  const momentsOf = (signal: string) => (signal === "SIGKILL" ? ["server ", "you ›"] : ["you ›"])
  const signals = ["SIGINT", "SIGTERM", "SIGKILL"] as const

  /** The target: npm, the node process that npm started, or the whole group, as from a terminal. */
  const targets: Record<string, (run: Run) => number> = {
    npm: ({ child }) => child.pid ?? 0,
    node: ({ child }) => childrenOf(child.pid ?? 0)[0] ?? 0,
    group: ({ child }) => -(child.pid ?? 0)
  }

  for (const [name, target] of Object.entries(targets)) {
    for (const signal of signals) {
      it.live(`${signal} to ${name}`, () =>
        Effect.forEach(
          momentsOf(signal),
          Effect.fnUntraced(function* (moment) {
            const run = yield* npmStart("/wait")
            yield* run.printed(moment)
            process.kill(target(run), signal)
            yield* run.exit
            yield* goneWithFolder(run.folder)
            yield* noFolder(run.folder)
          }, Effect.scoped),
          { concurrency: "unbounded", discard: true }
        )
      )
    }
  }
})
