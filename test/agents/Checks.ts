/**
 * The checks of every agent. Each returns a short summary of what it saw.
 */
import { Clock, Effect, FileSystem, Path } from "effect"
import type { ChildProcessSpawner } from "effect/process"
import { Forge, type ForgeClient, type Session, type Turn, TurnEvent, Upload } from "../../src/index.ts"
import { Calls } from "../support/Calls.ts"
import { goneWithFolder } from "../support/Processes.ts"
import type { CheckName } from "./Agent.ts"
import * as AgentProcess from "./AgentProcess.ts"
import { type ModelRequest, text, type ToolUse, usage } from "./dialects/Dialect.ts"
import { expect } from "./Expect.ts"
import * as ForgeServe from "./ForgeServe.ts"
import { message, unfinished } from "./ModelApi.ts"
import * as Streamed from "./Streamed.ts"
import { careful, Trial } from "./Trial.ts"

/** What a check may use. */
export type Services = Trial | Calls | ForgeClient.ForgeClient | FileSystem.FileSystem | Path.Path | Spawner

type Spawner = ChildProcessSpawner.ChildProcessSpawner

const timeout = "1 minute"

/** Uses a session of the agent that is tried. */
const withSession = <A, E, R>(use: (session: Session.Session) => Effect.Effect<A, E, R>) =>
  Trial.use(({ agent }) => Forge.withSession({ agent: agent.name }, use))

/** The model says what it was told to remember, if that is in the conversation. */
const remembers = ({ conversation }: ModelRequest) =>
  message(text(conversation.includes("heliotrope") ? "You said heliotrope." : "I do not know the word."))

/** Waits until the agent can restore a session that was created now. */
const untilRestorable = Effect.gen(function* () {
  const { agent } = yield* Trial
  const minute = 60_000
  if (agent.restoresNextMinute === true)
    yield* Effect.sleep(minute + 1_000 - ((yield* Clock.currentTimeMillis) % minute))
})

/** Asks for the word of an earlier turn; the answer must be all that the turn has. */
const recalls = Effect.fnUntraced(function* (session: Session.Session) {
  const { api } = yield* Trial
  yield* api.answer(remembers)
  const turn = yield* session.turn("Which word?", { timeout })
  yield* expect(turn.text === "You said heliotrope.", "the turn has another text", happened(turn))
  yield* expect(turn.stopReason === "end_turn", "the turn ended otherwise", turn.stopReason)
  yield* expect(turn.events.filter(TurnEvent.is("ToolCall")).length === 0, "old tool calls came", happened(turn))
  return turn
})

/** The events that say what happened, without those about the session and its settings. */
const happened = ({ events }: Turn.Turn) =>
  events.filter(
    (event) => TurnEvent.is("Text")(event) || TurnEvent.is("ToolCall")(event) || TurnEvent.is("Permission")(event)
  )

const remember = Effect.fnUntraced(function* (session: Session.Session) {
  const { api } = yield* Trial
  yield* api.answer(() => message(text("I will.")))
  const turn = yield* session.turn("Remember heliotrope.", { timeout })
  yield* expect(turn.text === "I will.", "the turn has another text", happened(turn))
  return turn
})

const open = withSession(({ info }) => Effect.map(AgentProcess.pidOf(info), () => `in a folder of its own`))

const twoTurns = withSession(
  Effect.fnUntraced(function* (session) {
    const { api } = yield* Trial
    yield* remember(session)
    const second = yield* recalls(session)
    const requests = yield* api.requests
    yield* expect(second.index === 2 && requests.length === 1, "the model was asked otherwise", requests)
    return JSON.stringify(second.text)
  })
)

const stream = withSession(
  Effect.fnUntraced(function* (session) {
    const { api, server } = yield* Trial
    yield* api.answer(() => unfinished("One, two, three."))
    const turn = yield* Streamed.turn(server, session.id, "Count.")
    // The model has not finished: what has come was passed on at once.
    yield* turn.begun
    yield* api.release
    const { last, text } = yield* turn.ended
    yield* expect(text === "One, two, three." && last.event === "done", "the turn ended otherwise", { text, last })
    return "text came before the model had finished"
  }, Effect.scoped)
)

const usageReported = withSession(
  Effect.fnUntraced(function* (session) {
    const turns = [yield* remember(session), yield* recalls(session)]
    const seen = turns.map((turn) => turn.usage)
    for (const usageOfTurn of seen) {
      yield* expect(usageOfTurn?.outputTokens === usage.output, "the tokens are not those of each turn", seen)
    }
    return JSON.stringify(seen[1])
  })
)

/** Waits until the model is in the middle of an answer, and acts then. The next turn has to know the one before. */
const midAnswer = Effect.fnUntraced(function* <A, E, R>(session: Session.Session, act: Effect.Effect<A, E, R>) {
  const { api, server } = yield* Trial
  yield* remember(session)
  yield* api.answer(() => unfinished("One, two, "))
  const before = yield* AgentProcess.pidOf(session.info)
  const turn = yield* Streamed.turn(server, session.id, "Count to ten.")
  yield* turn.begun
  yield* act
  const cut = yield* turn.ended
  yield* api.disconnected
  const next = yield* recalls(session)
  yield* expect(next.index === 3, "the turns were counted otherwise", next.index)
  return { cut, isSameProcess: before === (yield* AgentProcess.pidOf(session.info)) }
}, Effect.scoped)

const cancel = withSession(
  Effect.fnUntraced(function* (session) {
    const { cut, isSameProcess } = yield* midAnswer(session, session.cancel)
    yield* expect(cut.last.event === "done" && cut.last.data["stop_reason"] === "cancelled", "no cancel", cut)
    yield* expect("One, two, ".startsWith(cut.text) && cut.text !== "", "the text so far is another", cut)
    yield* expect(isSameProcess, "another process took the next turn")
    return `${JSON.stringify(cut.text)}, cancelled; the same process took the next turn`
  })
)

const kill = withSession(
  Effect.fnUntraced(function* (session) {
    const { cut, isSameProcess } = yield* midAnswer(
      session,
      Effect.andThen(AgentProcess.kill(session.info), untilRestorable)
    )
    yield* expect(cut.last.event === "error" && cut.last.data["status"] === 502, "no 502", cut)
    yield* expect(JSON.stringify(cut.last.data["body"]).includes("SIGKILL"), "the reason is another", cut)
    yield* expect(!isSameProcess, "the same process took the next turn")
    return "502, and another process restored the session"
  })
)

/** The path of the attached file in the request; the server gives the copy a name of its own. */
export const attachedPath = ({ conversation }: ModelRequest): string =>
  /\/[^\s"'()@\\]*attachment-1\.txt/.exec(conversation)?.[0].replace(/^\/+/, "/") ?? ""

const file = withSession(
  Effect.fnUntraced(function* (session) {
    const { agent, api } = yield* Trial
    const list = yield* Forge.upload(Upload.fromBytes("list.txt", new TextEncoder().encode("Buy milk.\n")))
    yield* api.answer((request) => {
      if (request.conversation.includes("Buy milk.")) return message(text("Milk."))
      return request.isToolResult ? message(text("I cannot read it.")) : message(agent.read(attachedPath(request)))
    })
    const turn = yield* session.turn("What is on the list?", { files: [list.token], timeout })
    const requests = yield* api.requests
    yield* expect(turn.text === "Milk.", "it was not read", [happened(turn), requests.at(-1)?.last])
    return requests.length === 1 ? "in the prompt" : "by the agent's own tool"
  })
)

const decisionsOf = (turn: Turn.Turn) =>
  turn.events
    .filter(TurnEvent.is("Permission"))
    .map(({ decision }) => decision)
    .join()

/** Runs a turn in which the model calls a tool that writes a file. */
export const write = Effect.fnUntraced(function* (name: string, tool: (file: string) => ToolUse) {
  const { api } = yield* Trial
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  return yield* Forge.withSession(
    { agent: name },
    Effect.fnUntraced(function* (session) {
      const file = path.join(session.info.cwd, "written.txt")
      yield* api.answer(({ isToolResult }) => message(isToolResult ? text("That was it.") : tool(file)))
      const turn = yield* session.turn("Write the file.", { timeout })
      const decisions = decisionsOf(turn)
      const [asked] = turn.events.filter(TurnEvent.is("Permission"))
      const calls = turn.events.filter(TurnEvent.is("ToolCall"))
      const call = calls.find(({ id }) => id === asked?.toolCallId) ?? calls.at(-1)
      return { turn, written: yield* fs.exists(file), decisions, asked, calls, call, file }
    })
  )
})

const writes = Effect.fnUntraced(function* (name: string) {
  const { agent } = yield* Trial
  const wrote = yield* write(name, (file) => agent.write(file, "by the agent\n"))
  const { asked, call, file, turn } = wrote
  yield* expect(asked !== undefined, "it did not ask", happened(turn))
  yield* expect(call?.id === asked?.toolCallId, "the call that it asked about is not there", happened(turn))
  const about = JSON.stringify([call?.title, call?.args, call?.blocks, call?.rawInput])
  yield* expect(
    about.includes(file) || about.includes("written.txt"),
    "the call does not say what it is",
    happened(turn)
  )
  return wrote
})

const allow = Effect.gen(function* () {
  const { agent } = yield* Trial
  const { call, calls, decisions, turn, written } = yield* writes(agent.name)
  yield* expect(written && decisions.startsWith("allow"), "the file was not written", happened(turn))
  yield* expect(call?.status === "completed" && calls.length === 1, "the call ended otherwise", happened(turn))
  yield* expect(turn.text.endsWith("That was it.") && turn.stopReason === "end_turn", "the turn ended otherwise", [
    turn.stopReason,
    happened(turn)
  ])
  return `${decisions}, ${call?.name} ${call?.status}, the file exists`
})

const deny = Effect.gen(function* () {
  const { call, decisions, turn, written } = yield* writes(careful)
  yield* expect(!written && decisions.startsWith("reject"), "it was not denied", { written, events: happened(turn) })
  yield* expect(call?.status === "failed", "the call ended otherwise", happened(turn))
  return `${decisions}, ${call?.name} ${call?.status}, no file; the turn ended with ${turn.stopReason}`
})

const model = Effect.gen(function* () {
  const { agent, api } = yield* Trial
  const { arrives = "", choice } = agent.model ?? {}
  yield* api.answer(() => message(text("It is me.")))
  yield* Forge.withSession({ agent: agent.name, model: choice }, (session) => session.turn("Who is it?", { timeout }))
  const [request] = yield* api.requests
  yield* expect(request?.model.includes(arrives) === true, "the API got another model", request?.model)
  const refused = yield* Effect.flip(Effect.scoped(Forge.session({ agent: agent.name, model: "no-such-model" })))
  yield* expect(refused._tag === "ApiError" && refused.status === 422, "an unknown model is not refused", refused)
  return `${choice} is ${request?.model}; ${refused.message}`
})

/** Opens a session that is not closed, since its server is killed. */
const openSession = Effect.fnUntraced(function* (agent: string) {
  const { id } = yield* Calls.use((calls) => calls.create({ agent }))
  return yield* Forge.attach(id)
})

const restart = Effect.gen(function* () {
  const { agent, serve } = yield* Trial
  const fs = yield* FileSystem.FileSystem
  const options = { ...serve, data: yield* fs.makeTempDirectoryScoped() }
  const first = yield* ForgeServe.start(options)
  const { id } = yield* openSession(agent.name).pipe(Effect.tap(remember), Effect.provide(ForgeServe.client(first)))
  yield* first.kill
  yield* untilRestorable
  const second = yield* ForgeServe.start(options, first.token)
  const turn = yield* Forge.attach(id).pipe(
    Effect.flatMap((session) => Effect.ensuring(recalls(session), Effect.ignore(session.close))),
    Effect.provide(ForgeServe.client(second))
  )
  yield* expect(turn.index === 2, "the turns were counted otherwise", turn.index)
  return "after SIGKILL and a new start the session went on"
}).pipe(Effect.scoped)

const close = Effect.gen(function* () {
  const { agent } = yield* Trial
  const session = yield* Forge.session({ agent: agent.name })
  yield* remember(session)
  yield* session.close
  const refused = yield* Effect.flip(session.turn("Are you there?"))
  yield* expect(refused._tag === "SessionClosed", "a turn was not refused", refused)
  yield* AgentProcess.gone(session.info)
  return "its processes are gone"
}).pipe(Effect.scoped)

/** The checks that need the server; the last column follows its end. */
export const all: Readonly<Record<Exclude<CheckName, "nothing left">, Effect.Effect<string, unknown, Services>>> = {
  open,
  "two turns": twoTurns,
  stream,
  usage: usageReported,
  cancel,
  file,
  allow,
  deny,
  model,
  kill,
  restart,
  close
}

/** No session is open before the server ends. */
export const noSessions = Effect.gen(function* () {
  const open = yield* Forge.sessions({ includeClosed: false })
  yield* expect(open.length === 0, "sessions are open", open)
})

/** No process is left after the server's end. */
export const noProcesses = (home: string) => Effect.as(goneWithFolder(home), "no session and no process")
