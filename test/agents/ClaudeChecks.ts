/**
 * The checks that only Claude has: its thoughts, cost, settings and failures. Each returns a short summary of what it saw.
 */
import { Effect, Fiber, FileSystem } from "effect"
import { Forge, type Run, TurnEvent, Upload } from "../../src/index.ts"
import * as AgentProcess from "./AgentProcess.ts"
import { attachedPath, type Services, write } from "./Checks.ts"
import { hookMarker } from "./ClaudeVariants.ts"
import { text, thinking } from "./dialects/Dialect.ts"
import { expect } from "./Expect.ts"
import * as ForgeServe from "./ForgeServe.ts"
import { message, unfinished } from "./ModelApi.ts"
import { careful, Trial } from "./Trial.ts"

const timeout = "1 minute"

/** Runs one turn in a new session. */
const ask = (agent: string, prompt: string) =>
  Forge.withSession({ agent }, (session) => session.turn(prompt, { timeout }))

const thinks = Effect.gen(function* () {
  const { api } = yield* Trial
  yield* api.answer(() => message(thinking("Let me see."), text("Seen.")))
  const { events } = yield* ask("claude", "Think about it.")
  const order = events.filter((event) => TurnEvent.is("Thinking")(event) || TurnEvent.is("Text")(event))
  const seen = order.map((event) => `${event._tag} ${JSON.stringify(event.content)}`).join(", ")
  yield* expect(seen === 'Thinking "Let me see.", Text "Seen."', "the order is another", seen)
  return seen
})

const cost = Effect.gen(function* () {
  const { api } = yield* Trial
  yield* api.answer(() => message(text("Done.")))
  const { usage } = yield* ask("claude", "How much is it?")
  yield* expect((usage?.costUsd ?? 0) > 0, "there is no cost", usage)
  const sideRequests = yield* api.sideRequests
  yield* expect(sideRequests.length === 0, "there were other requests to the model", sideRequests)
  return `$${usage?.costUsd}, and no other requests to the model`
})

const operatorsSettings = Effect.gen(function* () {
  const { agent, home } = yield* Trial
  const fs = yield* FileSystem.FileSystem
  const { decisions, turn, written } = yield* write("operated", (file) => agent.write(file, "by Claude\n"))
  const hooked = yield* fs.exists(hookMarker(home))
  yield* expect(!written && decisions === "reject_once", "the settings apply", { written, events: turn.events })
  yield* expect(!hooked, "the operator's hook has run")
  return "the operator's settings accept edits and add a hook: Claude still asked, was denied, and no hook ran"
})

const interrupt = Effect.gen(function* () {
  const { api } = yield* Trial
  return yield* Forge.withSession(
    { agent: "claude" },
    Effect.fnUntraced(function* (session) {
      yield* api.answer(() => unfinished("One, two, "))
      const before = yield* AgentProcess.pidOf(session.info)
      const counting = yield* Effect.forkChild(session.turn("Count to ten.", { timeout }))
      yield* api.begun
      yield* Fiber.interrupt(counting)
      yield* api.disconnected
      yield* api.answer(() => message(text("Here I am.")))
      const next = yield* session.turn("Are you there?", { timeout })
      yield* expect(next.text === "Here I am." && next.index === 2, "the next turn is another", next)
      yield* expect(before === (yield* AgentProcess.pidOf(session.info)), "another process took the next turn")
      return "the request to the model was aborted; the same process took the next turn"
    })
  )
})

/** Runs a prompt, and returns the result with the settings of the request to the model. */
const run = Effect.fnUntraced(function* (options: Run.RunOptions) {
  const { api } = yield* Trial
  yield* api.answer(() => message(text('```json\n{"total": 3}\n```')))
  const { result } = yield* Forge.run("How much is it?", options)
  const [request] = yield* api.requests
  return { result, effort: request?.effort, model: request?.model, system: request?.system ?? "" }
})

const oneRun = Effect.gen(function* () {
  const { effort, model, result } = yield* run({ model: "haiku" })
  const isExpected = JSON.stringify(result) === '{"total":3}' && model?.includes("haiku") === true
  yield* expect(isExpected, "the result is another", { model, result })
  return `${JSON.stringify(result)} from ${model}, effort ${effort ?? "by default"}`
})

const effort = Effect.gen(function* () {
  const low = yield* run({ effort: "low" })
  const max = yield* run({ effort: "max" })
  yield* expect(low.effort === "low" && max.effort === "max", "other efforts arrive", [low.effort, max.effort])
  return "low and max arrive"
})

const systemPrompt = Effect.gen(function* () {
  const system = "Speak in rhymes."
  const plain = yield* run({})
  const appended = yield* run({ system })
  const replaced = yield* run({ system, systemMode: "replace" })
  const [own, longer, shorter] = [plain.system.length, appended.system.length, replaced.system.length]
  const arrives = appended.system.includes(system) && replaced.system.includes(system)
  yield* expect(arrives && longer > own && shorter < own, "it does not arrive", { own, longer, shorter })
  return `${own} characters by default, ${longer} appended, ${shorter} replaced`
})

const readsUnasked = Effect.gen(function* () {
  const { agent, api } = yield* Trial
  const list = yield* Forge.upload(Upload.fromBytes("list.txt", new TextEncoder().encode("Buy milk.\n")))
  yield* api.answer((request) => message(request.isToolResult ? text("Read.") : agent.read(attachedPath(request))))
  const turn = yield* Forge.withSession({ agent: careful }, (session) =>
    session.turn("What is on the list?", { files: [list.token], timeout })
  )
  const [call] = turn.events.filter(TurnEvent.is("ToolCall"))
  yield* expect(call?.status === "completed", "it was not read", turn.events)
  return `read without asking: ${call?.title}`
})

/** Runs a turn that must fail with 502, and returns the error message. */
const failing = Effect.fnUntraced(function* (agent: string) {
  const failure = yield* Effect.flip(ask(agent, "Are you there?"))
  yield* expect(failure._tag === "ApiError" && failure.status === 502, "it is no 502", failure)
  return failure.message
})

/** Failures of the API, and a text that the caller's error must contain. */
const refusals = [
  { status: 429, type: "rate_limit_error", message: "slow down", expected: "rate_limit" },
  { status: 529, type: "overloaded_error", message: "Overloaded", expected: "server_error" },
  { status: 400, type: "invalid_request_error", message: "Your credit balance is too low", expected: "billing_error" }
]

const apiRefuses = Effect.gen(function* () {
  const { api } = yield* Trial
  const messages: Array<string> = []
  for (const refusal of refusals) {
    yield* api.answer(() => ({ _tag: "Failure", ...refusal }))
    const message = yield* failing("hasty")
    yield* expect(message.includes(refusal.expected), "the reason is another", message)
    messages.push(`${refusal.status}: ${message}`)
  }
  return messages.join("; ")
})

/** A server without an agents table, which finds Claude by PATH and configures it by its own environment. */
const found = Effect.gen(function* () {
  const { api, bin, env, serve } = yield* Trial
  const fs = yield* FileSystem.FileSystem
  const path = `${bin}:${serve.env["PATH"] ?? ""}`
  const server = yield* ForgeServe.start({
    data: yield* fs.makeTempDirectoryScoped(),
    env: { ...serve.env, ...env, PATH: path }
  })
  yield* api.answer(() => message(text("Here I am.")))
  const turn = yield* ask("claude", "Are you there?").pipe(Effect.provide(ForgeServe.client(server)))
  yield* expect(turn.text === "Here I am.", "the turn is another", turn)
  return "found in PATH, and configured by the server's environment"
}).pipe(Effect.scoped)

const network = Effect.gen(function* () {
  const { api } = yield* Trial
  const hosts = [...(yield* api.externalHosts)]
  yield* expect(hosts.length === 0, "external hosts were requested", hosts)
  return "no request to an external host"
})

export type Checks = Readonly<Record<string, Effect.Effect<string, unknown, Services>>>

export const all: Checks = {
  thinking: thinks,
  "the cost": cost,
  "an operator with loose settings": operatorsSettings,
  "an interrupt in the middle of an answer": interrupt,
  "a run": oneRun,
  "the effort": effort,
  "a system prompt": systemPrompt,
  "a file is read without asking": readsUnasked,
  "the API is down": failing("offline"),
  "the API refuses": apiRefuses,
  "a key that is not valid": failing("wrong"),
  "not logged in": failing("keyless"),
  "found in PATH": found,
  "the network": network
}
