/**
 * `forge demo`: starts a temporary server, holds a conversation with an agent, and shows the ledger of the session.
 */
import { Data, DateTime, Duration, Effect, Random, Redacted } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import * as ClaudeAgent from "../agent/ClaudeAgent.ts"
import * as DemoAgent from "../agent/DemoAgent.ts"
import { ApiError, Forge, type Session } from "../index.ts"
import * as NodeForgeClient from "../node/NodeForgeClient.ts"
import { ForgeServer, layer as layerServer } from "../server/ForgeServer.ts"
import type { SessionEvent } from "../server/storage/Ledger.ts"
import { UsageError } from "./Failure.ts"
import { Screen, formatDuration } from "./Screen.ts"
import * as TurnView from "./TurnView.ts"

/** The agent failed. The message includes the last lines of its standard error, which usually say why. */
class AgentFailed extends Data.TaggedError("AgentFailed")<{ readonly message: string }> {}

const withLastLines = ({ message, reason }: ApiError<502>) =>
  new AgentFailed({
    message: [message, ...(reason._tag === "RunFailed" ? TurnView.lastLines(Redacted.value(reason.stderr)) : [])].join(
      "\n  "
    )
  })

const agent = Flag.Literals("agent", ["demo", "claude"]).pipe(
  Flag.withDescription("Which agent to talk to; demo needs no network and no key (default demo)"),
  Flag.withDefault("demo")
)

const prompts = Argument.String("prompt").pipe(
  Argument.withDescription("The prompts, one turn each; without any, two turns about a word"),
  Argument.variadic()
)

const words = ["heliotrope", "marzipan", "quicksilver", "sassafras", "tamarind", "vermilion", "wisteria", "zephyr"]

/** Two turns, the second about a word that only the first one mentions. */
const defaultPrompts = Effect.gen(function* () {
  const word = yield* Random.choice(words)
  const number = yield* Random.nextIntBetween(10, 99)
  return [`Remember the word "${word}-${number}" for me.`, "Which word did I tell you?"]
})

const definitionOf = (name: "demo" | "claude") =>
  name === "claude" ? ClaudeAgent.find() : Effect.succeed(DemoAgent.definition)

export const command = Command.make(
  "demo",
  { agent, prompts },
  Effect.fnUntraced(function* ({ agent, prompts }) {
    if (prompts.some((prompt) => prompt.trim() === "")) {
      return yield* new UsageError({ message: "a prompt must not be empty" })
    }
    const definition = yield* definitionOf(agent)
    const conversation = prompts.length === 0 ? yield* defaultPrompts : prompts
    // With no grace, stopping the demo does not wait for the turn in flight.
    const server = layerServer({ agents: [definition], port: 0, grace: Duration.zero })
    yield* converse(agent, conversation).pipe(Effect.catchIf(ApiError.is(502), withLastLines), Effect.provide(server))
  })
).pipe(Command.withDescription("Hold a conversation with an agent, on a server started for it"))

const converse = Effect.fnUntraced(function* (agent: string, prompts: ReadonlyArray<string>) {
  const screen = yield* Screen
  const server = yield* ForgeServer
  const token = yield* server.mint("demo")
  const client = NodeForgeClient.layer({ url: server.url, token })
  yield* screen.line(`${screen.paint("bold", "server")}   ${server.url}`)
  const sessionId = yield* Effect.provide(talk(agent, prompts), client)
  yield* screen.line("")
  yield* screen.line(screen.paint("bold", "ledger"))
  for (const event of yield* server.history(sessionId)) yield* screen.line(historyLine(event))
})

const historyLine = ({ at, detail, kind, turnIndex }: SessionEvent): string => {
  const time = DateTime.formatIso(at).slice(11, 23)
  const what = turnIndex === null ? kind : `${kind} ${turnIndex}`
  const { duration_ms: millis, stop_reason: how = "" } = detail ?? {}
  const outcome = millis === undefined ? how : `${how}, ${formatDuration(Duration.millis(millis))}`
  return `  ${time}  ${what.padEnd(8)}${outcome}`.trimEnd()
}

const talk = Effect.fnUntraced(function* (agent: string, prompts: ReadonlyArray<string>) {
  const screen = yield* Screen
  const session = yield* screen.live(`starting ${agent}`)(Forge.session({ agent }))
  yield* screen.line(`${screen.paint("bold", "session")}  ${session.id} (${agent})`)
  for (const prompt of prompts) yield* turn(session, prompt)
  // The scope would close it too, but would only log a failure to close.
  yield* session.close
  yield* screen.line("")
  yield* screen.line(`${screen.paint("green", "closed")}   confirmed by the server`)
  return session.id
}, Effect.scoped)

const turn = Effect.fnUntraced(function* (session: Session.Session, prompt: string) {
  const screen = yield* Screen
  yield* screen.line("")
  yield* screen.line(`${screen.paint("cyan", "you")} › ${prompt}`)
  const turn = yield* screen.live(`${session.info.agent} is at work`)(session.turn(prompt, { timeout: "5 minutes" }))
  yield* screen.line(screen.paint("green", session.info.agent))
  for (const line of TurnView.lines(turn, screen.paint)) yield* screen.line(line)
})
