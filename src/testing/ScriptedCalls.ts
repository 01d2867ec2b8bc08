/**
 * Turns and runs whose replies the script chooses, as decorators of the server's own.
 */
import { Data, Effect, Layer, Schema, Stream } from "effect"
import { NotReady, TooManyRuns } from "../api/Errors.ts"
import type { SessionId } from "../wire/Ids.ts"
import { McpServers } from "../wire/McpServers.ts"
import type { Upload } from "../server/files/Uploads.ts"
import * as FileName from "../server/files/FileName.ts"
import { Runs } from "../server/runs/Runs.ts"
import { SessionEngine } from "../server/sessions/SessionEngine.ts"
import { Agents } from "../server/agents/Agents.ts"
import { WorkingDirectories } from "../server/storage/WorkingDirectories.ts"
import { CurrentReply } from "./Agents.ts"
import { Exchange, type Outcome } from "./Exchange.ts"
import type { Answered, AgentFails, Reply } from "./Reply.ts"
import type { Asked, Choose, Context, File, Past } from "./Script.ts"
import type { Store } from "./memory/Store.ts"

/** A prompt that an agent was handed, as data. */
export interface Prompt {
  readonly prompt: string
  readonly session: Asked
  readonly files: ReadonlyArray<File>
}

/** The agent is not handed the prompt; the exchange has what the requester gets instead. */
class Withheld extends Data.TaggedError("Withheld") {}

/** The fake does not seal them. */
const serversOf = Schema.decodeSync(Schema.fromJsonString(McpServers))

const withheld = "the agent did not get the prompt"

const said = (reply: Answered | AgentFails): string =>
  reply.events.map((event) => (event._tag === "Text" ? event.content : "")).join("")

const fileOf =
  (store: Store, cwd: string) =>
  ({ mediaType, name, sha256 }: Upload, index: number): File => ({
    name,
    path: `${cwd}/attachments/attachment-${index + 1}${FileName.extension(name)}`,
    mediaType: mediaType ?? undefined,
    content: store.uploads.get(sha256)?.content ?? new Uint8Array()
  })

interface Options {
  readonly choose: Choose
  readonly store: Store
  readonly prompts: Array<Prompt>
}

const make = ({ choose, prompts, store }: Options) => {
  const histories = new Map<SessionId | undefined, Array<Past>>()

  /** What the agent is handed as reply, unless it does not get the prompt. */
  const decide = Effect.fnUntraced(function* (
    prompt: string,
    { files, session }: Omit<Context, "history">,
    closeSession: Effect.Effect<unknown>
  ) {
    const exchange = yield* Exchange
    const withhold = (outcome: Outcome) => {
      exchange.outcome = outcome
      return Effect.fail(new Withheld())
    }
    const history = histories.get(session.id) ?? []
    const chosen = choose(prompt, { session, files, history: [...history] })
    const reply: Reply = yield* Effect.catchDefect(chosen, (defect) => withhold({ _tag: "Defect", defect }))
    switch (reply._tag) {
      case "Refused":
        yield* Effect.sleep(reply.delay)
        return yield* withhold({ _tag: "Page", page: reply })
      case "ConnectionReset":
        yield* Effect.sleep(reply.delay)
        return yield* withhold({ _tag: "Reset" })
      case "Silence":
        return yield* withhold({ _tag: "Silence" })
      case "SessionGone":
        yield* closeSession
        return undefined
      case "ProxyGaveUp":
        exchange.outcome = { _tag: "Page", page: reply.page }
        break
      case "Answered":
        if (reply.resetAt !== undefined) exchange.outcome = { _tag: "CutAt", bytes: reply.resetAt }
    }
    const acting = reply._tag === "ProxyGaveUp" ? reply.reply : reply
    prompts.push({ prompt, session, files })
    if (session.id !== undefined) histories.set(session.id, [...history, { prompt, text: said(acting) }])
    return acting
  })

  const askedOf = (sessionId: SessionId): Asked => {
    const session = store.sessions.get(sessionId)?.session
    return {
      id: sessionId,
      agent: session?.agent ?? "",
      model: session?.model ?? undefined,
      effort: session?.effort ?? undefined,
      system: session?.system ?? undefined,
      meta: session?.meta ?? undefined,
      mcpServers: serversOf(session?.mcpServers ?? "[]"),
      workspace: session?.workspace ?? undefined
    }
  }

  return { askedOf, decide }
}

export const layer = (options: Options) => {
  const { askedOf, decide } = make(options)

  const engine = Layer.effect(
    SessionEngine,
    Effect.gen(function* () {
      const engine = yield* SessionEngine
      const directories = yield* WorkingDirectories
      return SessionEngine.of({
        ...engine,
        turn: (sessionId, turn) => {
          const cwd = directories.ofSession(sessionId)
          const context = { session: askedOf(sessionId), files: turn.files.map(fileOf(options.store, cwd)) }
          return decide(turn.prompt, context, Effect.orDie(engine.close(sessionId))).pipe(
            Effect.mapError(() => new NotReady({ detail: withheld })),
            Effect.map((reply) => {
              const events = engine.turn(sessionId, turn)
              return reply === undefined ? events : Stream.provideService(events, CurrentReply, reply)
            }),
            Stream.unwrap
          )
        }
      })
    })
  )

  const runs = Layer.effect(
    Runs,
    Effect.gen(function* () {
      const runs = yield* Runs
      const agents = yield* Agents
      return Runs.of({
        run: Effect.fnUntraced(function* (run) {
          const { agent = agents.names[0] ?? "", effort, files, model, prompt, system } = run
          const session: Asked = {
            id: undefined,
            agent,
            effort,
            model,
            system,
            meta: undefined,
            mcpServers: [],
            workspace: undefined
          }
          const context = { session, files: files.map(fileOf(options.store, "/runs")) }
          const reply = yield* Effect.mapError(decide(prompt, context, Effect.void), () => new TooManyRuns())
          return yield* reply === undefined ? runs.run(run) : Effect.provideService(runs.run(run), CurrentReply, reply)
        })
      })
    })
  )
  return Layer.merge(engine, runs)
}
