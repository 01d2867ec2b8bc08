/**
 * What is checked of Claude: each check gives what it saw, in a few words.
 */
import { Effect, Fiber, FileSystem } from "effect"
import { Forge, type ForgeError, type Run, type Session, type Turn, TurnEvent, Upload } from "../../src/index.ts"
import { Calls } from "../support/Calls.ts"
import * as ForgeServe from "./ForgeServe.ts"
import { Claude, hookMarker, pidIn, see } from "./Claude.ts"
import { type Asked, message, text, thinking, toolUse, usage } from "./MessagesApi.ts"

/** One turn in a session of its own. */
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
    message(text(conversation.includes("heliotrope") ? "You said heliotrope." : "You told me no word."))
  )
  const said = yield* Forge.withSession({ agent: "claude" }, (session) =>
    Effect.gen(function* () {
      yield* session.turn("Remember heliotrope.")
      const { stopReason, text } = yield* session.turn("Which word?")
      return { stopReason, text }
    })
  )
  const asked = yield* api.asked
  yield* see(said.text === "You said heliotrope." && said.stopReason === "end_turn", said)
  yield* see(asked.length === 2 && asked[1]?.conversation.includes("Remember heliotrope.") === true, asked)
  const aside = yield* api.aside
  yield* see(aside.length === 0, aside)
  return `${JSON.stringify(said.text)}, the model asked twice and nothing beside`
})

export const thinks = Effect.gen(function* () {
  const { api } = yield* Claude
  yield* api.answer(() => message(thinking("Let me see."), text("Seen.")))
  const { events } = yield* ask("claude", "Think about it.")
  const order = events.filter((event) => TurnEvent.is("Thinking")(event) || TurnEvent.is("Text")(event))
  const seen = order.map((event) => `${event._tag} ${JSON.stringify(event.content)}`).join(", ")
  yield* see(seen === 'Thinking "Let me see.", Text "Seen."', seen)
  return seen
})

export const usageTold = Effect.gen(function* () {
  const { api } = yield* Claude
  yield* api.answer(() => message(text("Done.")))
  const turn = yield* ask("claude", "How much is it?")
  const { cachedTokens, inputTokens, outputTokens } = turn.usage ?? {}
  yield* see(
    inputTokens === usage.input && cachedTokens === usage.cached && outputTokens === usage.output,
    turn.usage ?? "no usage"
  )
  yield* see((turn.usage?.costUsd ?? 0) > 0, turn.events)
  return JSON.stringify(turn.usage)
})

/** The model wants a tool once, and then says how it went. */
const wants =
  (name: string, input: Readonly<Record<string, unknown>>) =>
  ({ last }: Asked) =>
    last.includes("tool_result") ? message(text("That was it.")) : message(toolUse(name, input))

/** A turn in which the model wants to write a file, and whether it stands there at the end. */
const write = Effect.fnUntraced(function* (agent: string) {
  const { api } = yield* Claude
  const fs = yield* FileSystem.FileSystem
  return yield* Forge.withSession({ agent }, (session) =>
    Effect.gen(function* () {
      const file = `${session.info.cwd}/written.txt`
      yield* api.answer(wants("Write", { file_path: file, content: "by Claude\n" }))
      const turn = yield* session.turn("Write the file.", { timeout: "1 minute" })
      return { turn, written: yield* fs.exists(file) }
    })
  )
})

export const toolAllowed = Effect.gen(function* () {
  const { turn, written } = yield* write("claude")
  const tool = call(turn)
  yield* see(written && decisions(turn) === "allow_once", { written, events: turn.events })
  yield* see(tool?.name === "Write" && tool.status === "completed" && tool.args !== undefined, tool)
  yield* see(turn.text === "That was it." && turn.stopReason === "end_turn", turn)
  return `asked, ${decisions(turn)}, ${tool?.name} ${tool?.status}, the file is there`
})

export const toolDenied = Effect.gen(function* () {
  const { turn, written } = yield* write("careful")
  yield* see(!written && decisions(turn) === "reject_once", { written, events: turn.events })
  yield* see(call(turn)?.status === "failed", call(turn))
  return `asked, ${decisions(turn)}, ${call(turn)?.name} ${call(turn)?.status}, no file; the turn ended with ${turn.stopReason}`
})

export const operatorsSettings = Effect.gen(function* () {
  const { home } = yield* Claude
  const fs = yield* FileSystem.FileSystem
  const { turn, written } = yield* write("operated")
  const hooked = yield* fs.exists(hookMarker(home))
  yield* see(!written && decisions(turn) === "reject_once", { written, events: turn.events })
  yield* see(!hooked, "the operator's hook has run")
  return "the operator accepts edits and has a hook: still asked and denied, and no hook ran"
})

/** What a session does while its model does not finish its answer, and whether the next turn works. */
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
      // What the model has said by now goes through Claude and its adapter.
      yield* Effect.sleep("500 millis")
      const acted = yield* act(session, counting)
      yield* api.dropped
      yield* api.answer(() => message(text("Here I am.")))
      const next = yield* session.turn("Are you there?", { timeout: "1 minute" })
      yield* see(next.text === "Here I am." && next.index === 2, next)
      return { acted, sameProcess: before === (yield* pidIn(session.info.cwd)) }
    })
  )
})

export const cancelled = Effect.gen(function* () {
  const { acted, sameProcess } = yield* midAnswer((session, counting) =>
    Effect.andThen(session.cancel, Fiber.join(counting))
  )
  yield* see(acted.stopReason === "cancelled" && acted.text === "One, two, " && sameProcess, { acted, sameProcess })
  return `${JSON.stringify(acted.text)}, ${acted.stopReason}; the same process took the next turn`
})

export const interrupted = Effect.gen(function* () {
  const { sameProcess } = yield* midAnswer((_, counting) => Fiber.interrupt(counting))
  yield* see(sameProcess, "it took another process")
  return "the call of the model was ended; the same process took the next turn"
})

export const model = Effect.gen(function* () {
  const { api } = yield* Claude
  yield* api.answer(() => message(text("It is me.")))
  yield* Forge.withSession({ agent: "claude", model: "haiku" }, (session) => session.turn("Who is it?"))
  const asked = yield* api.asked
  yield* see(asked[0]?.model.includes("haiku") === true, asked)
  const refused = yield* Effect.flip(Effect.scoped(Forge.session({ agent: "claude", model: "gpt-2" })))
  yield* see(refused._tag === "ApiError" && refused.status === 422, refused)
  return `haiku is ${asked[0]?.model}; gpt-2: ${refused.message}`
})

/** A run, and what the model was asked in it. */
const run = Effect.fnUntraced(function* (options: Run.RunOptions) {
  const { api } = yield* Claude
  yield* api.answer(() => message(text('```json\n{"total": 3}\n```')))
  const { result } = yield* Forge.run("How much is it?", options)
  const [asked] = yield* api.asked
  return { result, effort: asked?.effort, model: asked?.model, system: asked?.system ?? "" }
})

export const oneRun = Effect.gen(function* () {
  const { effort, model, result } = yield* run({ model: "haiku" })
  yield* see(JSON.stringify(result) === '{"total":3}' && model?.includes("haiku") === true, { model, result })
  return `${JSON.stringify(result)} from ${model}, effort ${effort ?? "its own"}`
})

export const effort = Effect.gen(function* () {
  const low = yield* run({ effort: "low" })
  const max = yield* run({ effort: "max" })
  yield* see(low.effort === "low" && max.effort === "max", [low.effort, max.effort])
  return "low and max arrive"
})

export const systemPrompt = Effect.gen(function* () {
  const system = "Speak in rhymes."
  const plain = yield* run({})
  const appended = yield* run({ system })
  const replaced = yield* run({ system, systemMode: "replace" })
  const [own, longer, shorter] = [plain.system.length, appended.system.length, replaced.system.length]
  const arrives = appended.system.includes(system) && replaced.system.includes(system)
  yield* see(arrives && longer > own && shorter < own, { own, longer, shorter })
  return `${own} characters of its own; with ours appended ${longer}, replaced ${shorter}`
})

/** The name under which a file is there for Claude. */
const linked = ({ conversation }: Asked): string => /file:\/\/([^\s)"\\]+)/.exec(conversation)?.[1] ?? ""

export const attached = Effect.gen(function* () {
  const { api } = yield* Claude
  const file = yield* Forge.upload(Upload.fromBytes("list.txt", new TextEncoder().encode("Buy milk.\n")))
  yield* api.answer((asked) => {
    if (!asked.last.includes("tool_result")) return message(toolUse("Read", { file_path: linked(asked) }))
    return message(text(asked.last.includes("Buy milk.") ? "Milk." : "I cannot read it."))
  })
  const turn = yield* Forge.withSession({ agent: "careful" }, (session) =>
    session.turn("What is on the list?", { files: [file.token], timeout: "1 minute" })
  )
  yield* see(turn.text === "Milk.", turn.events)
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
      // The server hears of it a moment later; a turn in between fails.
      yield* Effect.sleep("1 second")
      yield* api.answer(() => message(text("It was heliotrope.")))
      const next = yield* session.turn("Which word?", { timeout: "1 minute" })
      const after = yield* pidIn(session.info.cwd)
      const [asked] = yield* api.asked
      yield* see(before !== after && next.text === "It was heliotrope." && next.index === 2, next)
      const knows = asked?.conversation.includes("Remember heliotrope.") && asked.conversation.includes("I will.")
      yield* see(knows === true, asked?.conversation)
      yield* see(!next.events.some((event) => TurnEvent.is("Text")(event) && event.content === "I will."), next.events)
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
  yield* see(acted._tag === "ApiError" && acted.status === 502 && !sameProcess, acted)
  return `502 ${acted.message}; another process took the next turn`
})

/** A turn that is to fail, and what the caller is told. */
const failing = Effect.fnUntraced(function* (agent: string) {
  const failure = yield* Effect.flip(ask(agent, "Are you there?"))
  yield* see(failure._tag === "ApiError" && failure.status === 502, failure)
  return failure.message
})

export const apiDown = failing("offline")

/** Each failure of the API, and a word that the caller is told of it. */
const refusals = [
  { status: 429, type: "rate_limit_error", message: "slow down", told: "rate_limit" },
  { status: 529, type: "overloaded_error", message: "Overloaded", told: "server_error" },
  { status: 400, type: "invalid_request_error", message: "Your credit balance is too low", told: "billing_error" }
]

export const apiRefuses = Effect.gen(function* () {
  const { api } = yield* Claude
  const told: Array<string> = []
  for (const refusal of refusals) {
    yield* api.answer(() => ({ _tag: "Failure", ...refusal }))
    const message = yield* failing("hasty")
    yield* see(message.includes(refusal.told), message)
    told.push(`${refusal.status}: ${message}`)
  }
  return told.join("; ")
})

export const wrongKey = failing("wrong")

export const notLoggedIn = failing("keyless")

/** A session that no scope closes: its server is killed while it is open. */
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
  const [asked] = yield* api.asked
  yield* see(turn.index === 2 && asked?.conversation.includes("Remember heliotrope.") === true, { turn, asked })
  return "its environment is enough; killed and started again, the session went on, and the model saw its first turn"
}).pipe(Effect.scoped)

export const nobodyLeaves = Effect.gen(function* () {
  const { api } = yield* Claude
  const outside = yield* api.outside
  yield* see(outside.length === 0, outside)
  return "nobody asked for a host outside"
})
