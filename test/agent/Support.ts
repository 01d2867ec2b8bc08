/** Helpers shared by the tests of agents. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Duration, Effect, FileSystem, Layer, Sink, Stream } from "effect"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { type AgentDefinition, AgentFailed, type AgentSession, type AgentTurn } from "../../src/agent/Agent.ts"
import * as AgentInbox from "../../src/agent/acp/AgentInbox.ts"
import * as LateEvents from "../../src/agent/acp/LateEvents.ts"
import * as QuietTime from "../../src/agent/acp/QuietTime.ts"
import type { AgentChild } from "../../src/agent/process/AgentProcess.ts"
import * as AgentLauncher from "../../src/agent/AgentLauncher.ts"
import { Watchdog } from "../../src/agent/process/Watchdog.ts"
import * as TurnBudget from "../../src/server/TurnBudget.ts"
import { eventually } from "../support/Eventually.ts"

export const Platform = Watchdog.layer().pipe(Layer.provideMerge(NodeServices.layer))

export const fixture = (name: string): string => fileURLToPath(new URL(`./fixtures/${name}`, import.meta.url))

export const misbehaving = (behaviour: string): AgentDefinition => ({
  name: "odd",
  command: [process.execPath, fixture("MisbehavingAgent.ts"), behaviour],
  permissions: "allow"
})

export const temporaryFolder = Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped())

/** Opens a session in a new folder. */
export const open = Effect.fnUntraced(function* (
  definition: AgentDefinition,
  options?: Partial<AgentLauncher.Options>
) {
  return yield* AgentLauncher.open(definition, {
    cwd: yield* temporaryFolder,
    budget: TurnBudget.make(),
    ...options
  })
})

export const prompt = (text: string, options?: Partial<AgentTurn>): AgentTurn => ({
  index: 1,
  prompt: text,
  files: [],
  timeout: Duration.minutes(3),
  ...options
})

/** Runs a turn and collects its events. */
export const collect = (session: AgentSession, turn: AgentTurn) => Stream.runCollect(session.turn(turn))

/** Runs a turn that fails, and returns its failure and the text before it. */
export const failedTurn = Effect.fnUntraced(function* (behaviour: string, turn = prompt("go")) {
  const session = yield* open(misbehaving(behaviour))
  let text = ""
  const failure = yield* session.turn(turn).pipe(
    Stream.runForEach((event) =>
      Effect.sync(() => {
        if (event._tag === "Text") text += event.content
      })
    ),
    Effect.flip
  )
  return { failure, session, text }
})

export const textOf = (events: ReadonlyArray<{ readonly _tag: string }>): string =>
  events.map((event) => (event._tag === "Text" && "content" in event ? String(event.content) : "")).join("")

export const lastOf = <A>(events: ReadonlyArray<A>): A | undefined => events.at(-1)

/** That of an agent that is known to send nothing after its answers. */
export const noQuietTime: QuietTime.QuietTime = { after: () => Duration.zero, recordLate: () => {} }

/** An inbox, with what it shares with the agent's other processes and the session's. */
export const makeInbox = (permissions: AgentDefinition["permissions"], quietTime = QuietTime.make()) => {
  const lateEvents = LateEvents.make()
  return { quietTime, lateEvents, inbox: AgentInbox.make({ permissions, quietTime, lateEvents }) }
}

/** A stub of an agent's process that does nothing, except for what the test overrides. */
export const stubChild = (overrides: Partial<AgentChild>): AgentChild => {
  const failure: AgentChild["failure"] = (error, stopReason = "error") =>
    Effect.succeed(new AgentFailed({ error, stderr: "", stopReason }))
  return {
    pid: 1,
    stdin: Sink.drain,
    stdout: Stream.empty,
    appendStderr: () => Effect.void,
    kill: () => Effect.void,
    exited: Effect.never,
    failure,
    fail: (error, stopReason) => Effect.flatMap(failure(error, stopReason), Effect.fail),
    ...overrides
  }
}

/** A zombie counts as dead: an orphan may stay one for a while. */
export const isAlive = (pid: number): boolean => {
  try {
    return !/\nState:\s+[ZX]/.test(readFileSync(`/proc/${pid}/status`, "utf8"))
  } catch {
    return false
  }
}

/** Waits until all of the processes have exited. */
export const awaitExit = (pids: ReadonlyArray<number>) =>
  Effect.sync(() => pids.filter(isAlive)).pipe(eventually("the end of all processes", (left) => left.length === 0))
