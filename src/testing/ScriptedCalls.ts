/**
 * Turns and runs whose replies the script chooses, as decorators of the server's own.
 */
import { Effect, Layer, Schema, Stream } from "effect"
import { FileNotFound, NotReady, TooManyRuns } from "../api/Errors.ts"
import type { SessionId } from "../wire/Ids.ts"
import { McpServers } from "../wire/McpServers.ts"
import { type Upload, Uploads } from "../server/files/Uploads.ts"
import * as FileName from "../server/files/FileName.ts"
import { Runs } from "../server/runs/Runs.ts"
import { SessionEngine } from "../server/sessions/SessionEngine.ts"
import { Agents } from "../server/agents/Agents.ts"
import { WorkingDirectories } from "../server/storage/WorkingDirectories.ts"
import { Exchange, type Outcome } from "./Exchange.ts"
import { Handing, Withheld } from "./Handing.ts"
import type { Answered, AgentFails, Reply } from "./Reply.ts"
import type { Asked, Choose, Context, File, Past } from "./Script.ts"
import { putFile, type Store } from "./memory/Store.ts"

/** A prompt that an agent was handed, as data. */
export interface Prompt {
  readonly prompt: string
  readonly session: Asked
  readonly files: ReadonlyArray<File>
}

/** The fake does not seal them. */
const serversOf = Schema.decodeSync(Schema.fromJsonString(McpServers))

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

const noSession = new Error("a run has no session that could be closed: `sessionClosed` is a reply to a turn")

interface Options {
  readonly choose: Choose
  readonly store: Store
  readonly prompts: Array<Prompt>
}

const make = ({ choose, prompts, store }: Options) => {
  const histories = new Map<SessionId | undefined, Array<Past>>()

  /** How a prompt is handed to its agent, unless the reply withholds it. */
  const handingOf = Effect.fnUntraced(function* (
    prompt: string,
    { files, session }: Omit<Context, "history">,
    closeSession?: Effect.Effect<unknown>
  ) {
    const exchange = yield* Exchange
    const withhold = (outcome: Outcome) => {
      exchange.outcome = outcome
      return Effect.fail(new Withheld())
    }
    const choice = Effect.gen(function* () {
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
          if (closeSession === undefined) return yield* withhold({ _tag: "Defect", defect: noSession })
          yield* closeSession
          // The close ends the turn.
          return yield* Effect.never
        case "ProxyGaveUp":
          exchange.outcome = { _tag: "Page", page: reply.page }
          break
        case "Answered":
          if (reply.resetAt !== undefined) exchange.outcome = { _tag: "CutAt", bytes: reply.resetAt }
      }
      const acting = reply._tag === "ProxyGaveUp" ? reply.reply : reply
      prompts.push({ prompt, session, files })
      if (acting._tag === "Answered" && session.id !== undefined) {
        const folder = store.sessions.get(session.id)?.session.cwd ?? ""
        for (const [path, text] of Object.entries(acting.writes)) {
          yield* putFile(store, `${folder}/${path}`, new TextEncoder().encode(text))
        }
      }
      if (session.id !== undefined) histories.set(session.id, [...history, { prompt, text: said(acting) }])
      return acting
    })
    let isWithheld = false
    const reply = yield* Effect.cached(
      Effect.tapError(choice, () =>
        Effect.sync(() => {
          isWithheld = true
        })
      )
    )
    return { handing: { reply }, isWithheld: () => isWithheld }
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

  return { askedOf, handingOf }
}

export const layer = (options: Options) => {
  const { askedOf, handingOf } = make(options)

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
          return handingOf(turn.prompt, context, Effect.orDie(engine.close(sessionId))).pipe(
            Effect.map(({ handing, isWithheld }) =>
              engine.turn(sessionId, turn).pipe(
                Stream.mapError((error) =>
                  isWithheld() ? new NotReady({ detail: "the prompt was withheld" }) : error
                ),
                Stream.provideService(Handing, handing)
              )
            ),
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
          const { handing, isWithheld } = yield* handingOf(prompt, context)
          return yield* runs.run(run).pipe(
            Effect.mapError((error) => (isWithheld() ? new TooManyRuns() : error)),
            Effect.provideService(Handing, handing)
          )
        })
      })
    })
  )
  return Layer.merge(engine, runs)
}

/** Files of a turn are copied right before it is counted, and after all that can refuse it. */
export const uploads = Layer.effect(
  Uploads,
  Effect.map(Uploads, (uploads) =>
    Uploads.of({
      ...uploads,
      stage: Effect.fnUntraced(function* (files, options) {
        const staged = yield* uploads.stage(files, options)
        const { reply } = yield* Handing
        if (options.sessionId !== undefined) yield* Effect.mapError(reply, () => new FileNotFound())
        return staged
      })
    })
  )
)
