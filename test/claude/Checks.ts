/**
 * The checks of Claude. Each returns a short summary of what it saw.
 */
import { Effect, Fiber, FileSystem } from "effect"
import { Forge, type ForgeError, type Run, type Session, type Turn, TurnEvent, Upload } from "../../src/index.ts"
import { Calls } from "../support/Calls.ts"
import * as ForgeServe from "./ForgeServe.ts"
import { Claude, expect, hookMarker, pidIn } from "./Claude.ts"
import { message, type ModelRequest, text, thinking, toolUse, usage } from "./MessagesApi.ts"

/** Runs one turn in a new session. */
const ask = (agent: string, prompt: string) =>
  Forge.withSession({ agent }, (session) => session.turn(prompt, { timeout: "1 minute" }))

const call = (turn: Turn.Turn) => turn.events.filter(TurnEvent.is("ToolCall")).at(-1)
const decisions = (turn: Turn.Turn) =>
  turn.events
    .filter(TurnEvent.is("Permission"))
    .map(({ decision }) => decision)
    .join()

export const twoTurns = Effect.gen(function* () {
  const { api } = yield* Claude
  yield* api.answer(({ conversation }) =>
    message(text(conversation.includes("heliotrope") ? "You said heliotrope." : "I do not know the word."))
  )
  const second = yield* Forge.withSession({ agent: "claude" }, (session) =>
    Effect.gen(function* () {
      yield* session.turn("Remember heliotrope.")
      const { stopReason, text } = yield* session.turn("Which word?")
      return { stopReason, text }
    })
  )
  const requests = yield* api.requests
  yield* expect(second.text === "You said heliotrope." && second.stopReason === "end_turn", second)
  yield* expect(requests.length === 2 && requests[1]?.conversation.includes("Remember heliotrope.") === true, requests)
  const sideRequests = yield* api.sideRequests
  yield* expect(sideRequests.length === 0, sideRequests)
  return `${JSON.stringify(second.text)}, two requests to the model and no others`
})

export const thinks = Effect.gen(function* () {
  const { api } = yield* Claude
  yield* api.answer(() => message(thinking("Let me see."), text("Seen.")))
  const { events } = yield* ask("claude", "Think about it.")
  const order = events.filter((event) => TurnEvent.is("Thinking")(event) || TurnEvent.is("Text")(event))
  const seen = order.map((event) => `${event._tag} ${JSON.stringify(event.content)}`).join(", ")
  yield* expect(seen === 'Thinking "Let me see.", Text "Seen."', seen)
  return seen
})

export const usageReported = Effect.gen(function* () {
  const { api } = yield* Claude
  yield* api.answer(() => message(text("Done.")))
  const turn = yield* ask("claude", "How much is it?")
  const { cachedTokens, inputTokens, outputTokens } = turn.usage ?? {}
  yield* expect(
    inputTokens === usage.input && cachedTokens === usage.cached && outputTokens === usage.output,
    turn.usage ?? "no usage"
  )
  yield* expect((turn.usage?.costUsd ?? 0) > 0, turn.events)
  return JSON.stringify(turn.usage)
})

/** The model calls a tool once, and then finishes. */
const callsTool =
  (name: string, input: Readonly<Record<string, unknown>>) =>
  ({ last }: ModelRequest) =>
    last.includes("tool_result") ? message(text("That was it.")) : message(toolUse(name, input))

/** Runs a turn in which the model writes a file, and returns whether the file exists afterwards. */
const write = Effect.fnUntraced(function* (agent: string) {
  const { api } = yield* Claude
  const fs = yield* FileSystem.FileSystem
  return yield* Forge.withSession({ agent }, (session) =>
    Effect.gen(function* () {
      const file = `${session.info.cwd}/written.txt`
      yield* api.answer(callsTool("Write", { file_path: file, content: "by Claude\n" }))
      const turn = yield* session.turn("Write the file.", { timeout: "1 minute" })
      return { turn, written: yield* fs.exists(file) }
    })
  )
})

export const toolAllowed = Effect.gen(function* () {
  const { turn, written } = yield* write("claude")
  const tool = call(turn)
  yield* expect(written && decisions(turn) === "allow_once", { written, events: turn.events })
  yield* expect(tool?.name === "Write" && tool.status === "completed" && tool.args !== undefined, tool)
  yield* expect(turn.text === "That was it." && turn.stopReason === "end_turn", turn)
  return `asked, ${decisions(turn)}, ${tool?.name} ${tool?.status}, the file exists`
})

export const toolDenied = Effect.gen(function* () {
  const { turn, written } = yield* write("careful")
  yield* expect(!written && decisions(turn) === "reject_once", { written, events: turn.events })
  yield* expect(call(turn)?.status === "failed", call(turn))
  return `asked, ${decisions(turn)}, ${call(turn)?.name} ${call(turn)?.status}, no file; the turn ended with ${turn.stopReason}`
})

export const operatorsSettings = Effect.gen(function* () {
  const { home } = yield* Claude
  const fs = yield* FileSystem.FileSystem
  const { turn, written } = yield* write("operated")
  const hooked = yield* fs.exists(hookMarker(home))
  yield* expect(!written && decisions(turn) === "reject_once", { written, events: turn.events })
  yield* expect(!hooked, "the operator's hook has run")
  return "the operator's settings accept edits and add a hook: Claude still asked, was denied, and no hook ran"
})

/** Acts on a session while the model is in the middle of an answer, and checks that the next turn works. */
const midAnswer = Effect.fnUntraced(function* <A, E, R>(
  act: (session: Session.Session, counting: Fiber.Fiber<Turn.Turn, ForgeError.TurnError>) => Effect.Effect<A, E, R>
) {
  const { api } = yield* Claude
  return yield* Forge.withSession({ agent: "claude" }, (session) =>
    Effect.gen(function* () {
      yield* api.answer(() => ({ _tag: "Unfinished", text: "One, two, " }))
      const before = yield* pidIn(session.info.cwd)
      const counting = yield* Effect.forkChild(session.turn("Count to ten.", { timeout: "1 minute" }))
      yield* api.begun
      // Time for the text so far to pass through Claude and its adapter.
      yield* Effect.sleep("500 millis")
      const acted = yield* act(session, counting)
      yield* api.disconnected
      yield* api.answer(() => message(text("Here I am.")))
      const next = yield* session.turn("Are you there?", { timeout: "1 minute" })
      yield* expect(next.text === "Here I am." && next.index === 2, next)
      return { acted, sameProcess: before === (yield* pidIn(session.info.cwd)) }
    })
  )
})

export const cancelled = Effect.gen(function* () {
  const { acted, sameProcess } = yield* midAnswer((session, counting) =>
    Effect.andThen(session.cancel, Fiber.join(counting))
  )
  yield* expect(acted.stopReason === "cancelled" && acted.text === "One, two, " && sameProcess, { acted, sameProcess })
  return `${JSON.stringify(acted.text)}, ${acted.stopReason}; the same process took the next turn`
})

export const interrupted = Effect.gen(function* () {
  const { sameProcess } = yield* midAnswer((_, counting) => Fiber.interrupt(counting))
  yield* expect(sameProcess, "it took another process")
  return "the request to the model was aborted; the same process took the next turn"
})

export const model = Effect.gen(function* () {
  const { api } = yield* Claude
  yield* api.answer(() => message(text("It is me.")))
  yield* Forge.withSession({ agent: "claude", model: "haiku" }, (session) => session.turn("Who is it?"))
  const requests = yield* api.requests
  yield* expect(requests[0]?.model.includes("haiku") === true, requests)
  const refused = yield* Effect.flip(Effect.scoped(Forge.session({ agent: "claude", model: "gpt-2" })))
  yield* expect(refused._tag === "ApiError" && refused.status === 422, refused)
  return `haiku is ${requests[0]?.model}; gpt-2: ${refused.message}`
})

/** Runs a prompt, and returns the result with the settings of the request to the model. */
const run = Effect.fnUntraced(function* (options: Run.RunOptions) {
  const { api } = yield* Claude
  yield* api.answer(() => message(text('```json\n{"total": 3}\n```')))
  const { result } = yield* Forge.run("How much is it?", options)
  const [request] = yield* api.requests
  return { result, effort: request?.effort, model: request?.model, system: request?.system ?? "" }
})

export const oneRun = Effect.gen(function* () {
  const { effort, model, result } = yield* run({ model: "haiku" })
  yield* expect(JSON.stringify(result) === '{"total":3}' && model?.includes("haiku") === true, { model, result })
  return `${JSON.stringify(result)} from ${model}, effort ${effort ?? "by default"}`
})

export const effort = Effect.gen(function* () {
  const low = yield* run({ effort: "low" })
  const max = yield* run({ effort: "max" })
  yield* expect(low.effort === "low" && max.effort === "max", [low.effort, max.effort])
  return "low and max arrive"
})

export const systemPrompt = Effect.gen(function* () {
  const system = "Speak in rhymes."
  const plain = yield* run({})
  const appended = yield* run({ system })
  const replaced = yield* run({ system, systemMode: "replace" })
  const [own, longer, shorter] = [plain.system.length, appended.system.length, replaced.system.length]
  const arrives = appended.system.includes(system) && replaced.system.includes(system)
  yield* expect(arrives && longer > own && shorter < own, { own, longer, shorter })
  return `${own} characters by default, ${longer} appended, ${shorter} replaced`
})

/** The path of the attached file in the request. */
const attachedPath = ({ conversation }: ModelRequest): string => /file:\/\/([^\s)"\\]+)/.exec(conversation)?.[1] ?? ""

export const attached = Effect.gen(function* () {
  const { api } = yield* Claude
  const file = yield* Forge.upload(Upload.fromBytes("list.txt", new TextEncoder().encode("Buy milk.\n")))
  yield* api.answer((request) => {
    if (!request.last.includes("tool_result")) return message(toolUse("Read", { file_path: attachedPath(request) }))
    return message(text(request.last.includes("Buy milk.") ? "Milk." : "I cannot read it."))
  })
  const turn = yield* Forge.withSession({ agent: "careful" }, (session) =>
    session.turn("What is on the list?", { files: [file.token], timeout: "1 minute" })
  )
  yield* expect(turn.text === "Milk.", turn.events)
  return `read without asking: ${call(turn)?.title}`
})

export const resumed = Effect.gen(function* () {
  const { api } = yield* Claude
  return yield* Forge.withSession({ agent: "claude" }, (session) =>
    Effect.gen(function* () {
      yield* api.answer(() => message(text("I will.")))
      yield* session.turn("Remember heliotrope.", { timeout: "1 minute" })
      const before = yield* pidIn(session.info.cwd)
      process.kill(before, "SIGKILL")
      // The server notices a moment later; a turn in between fails.
      yield* Effect.sleep("1 second")
      yield* api.answer(() => message(text("It was heliotrope.")))
      const next = yield* session.turn("Which word?", { timeout: "1 minute" })
      const after = yield* pidIn(session.info.cwd)
      const [request] = yield* api.requests
      yield* expect(before !== after && next.text === "It was heliotrope." && next.index === 2, next)
      const isRestored =
        request?.conversation.includes("Remember heliotrope.") && request.conversation.includes("I will.")
      yield* expect(isRestored === true, request?.conversation)
      yield* expect(
        !next.events.some((event) => TurnEvent.is("Text")(event) && event.content === "I will."),
        next.events
      )
      return `process ${before} killed, ${after} took the next turn, and the model saw the first`
    })
  )
})

export const killedInTurn = Effect.gen(function* () {
  const { acted, sameProcess } = yield* midAnswer(
    Effect.fnUntraced(function* (session, counting) {
      process.kill(yield* pidIn(session.info.cwd), "SIGKILL")
      return yield* Effect.flip(Fiber.join(counting))
    })
  )
  yield* expect(acted._tag === "ApiError" && acted.status === 502 && !sameProcess, acted)
  return `502 ${acted.message}; another process took the next turn`
})

/** Runs a turn that must fail with 502, and returns the error message. */
const failing = Effect.fnUntraced(function* (agent: string) {
  const failure = yield* Effect.flip(ask(agent, "Are you there?"))
  yield* expect(failure._tag === "ApiError" && failure.status === 502, failure)
  return failure.message
})

export const apiDown = failing("offline")

/** Failures of the API, and a text that the caller's error must contain. */
const refusals = [
  { status: 429, type: "rate_limit_error", message: "slow down", expected: "rate_limit" },
  { status: 529, type: "overloaded_error", message: "Overloaded", expected: "server_error" },
  { status: 400, type: "invalid_request_error", message: "Your credit balance is too low", expected: "billing_error" }
]

export const apiRefuses = Effect.gen(function* () {
  const { api } = yield* Claude
  const messages: Array<string> = []
  for (const refusal of refusals) {
    yield* api.answer(() => ({ _tag: "Failure", ...refusal }))
    const message = yield* failing("hasty")
    yield* expect(message.includes(refusal.expected), message)
    messages.push(`${refusal.status}: ${message}`)
  }
  return messages.join("; ")
})

export const wrongKey = failing("wrong")

export const notLoggedIn = failing("keyless")

/** Opens a session that is not closed, since its server is killed. */
const openSession = Effect.map(
  Calls.use((calls) => calls.create({ agent: "claude" })),
  ({ id }) => id
)

export const served = Effect.gen(function* () {
  const { api, bin, definition, home } = yield* Claude
  const server = { data: `${home}/data`, env: { ...definition.env, PATH: `${bin}:${process.env["PATH"] ?? ""}` } }
  const first = yield* ForgeServe.start(server)
  const token = yield* ForgeServe.mint(first)
  yield* api.answer(() => message(text("I will.")))
  const id = yield* openSession.pipe(
    Effect.tap((id) => Effect.flatMap(Forge.attach(id), (session) => session.turn("Remember heliotrope."))),
    Effect.provide(ForgeServe.client(first, token))
  )
  yield* first.kill
  const second = yield* ForgeServe.start(server)
  yield* api.answer(() => message(text("It was heliotrope.")))
  const turn = yield* Forge.attach(id).pipe(
    Effect.flatMap((session) => Effect.ensuring(session.turn("Which word?"), Effect.ignore(session.close))),
    Effect.provide(ForgeServe.client(second, token))
  )
  const [request] = yield* api.requests
  yield* expect(turn.index === 2 && request?.conversation.includes("Remember heliotrope.") === true, { turn, request })
  return "configured by its environment alone; after a kill and a restart the session continued, and the model saw the first turn"
}).pipe(Effect.scoped)

export const network = Effect.gen(function* () {
  const { api } = yield* Claude
  const externalHosts = yield* api.externalHosts
  yield* expect(externalHosts.length === 0, externalHosts)
  return "no request to an external host"
})
