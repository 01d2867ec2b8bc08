/**
 * The fake's agents, which reply as the script has it.
 */
import { type Cause, Deferred, Duration, Effect, Layer, Option, Queue, Stream } from "effect"
import { SecureRandom } from "effect/crypto/SecureRandom"
import {
  AgentFailed,
  type AgentOffer,
  AgentOptionRefused,
  type AgentSession,
  type AgentTurn,
  type TurnEnd
} from "../agent/Agent.ts"
import type { TurnEvent } from "../wire/TurnEvent.ts"
import { Agents, missing } from "../server/agents/Agents.ts"
import { InstalledAgents } from "../server/agents/InstalledAgents.ts"
import * as Counter from "./Counter.ts"
import { Handing } from "./Handing.ts"
import type * as Reply from "./Reply.ts"

/** An agent of the fake. */
export interface FakeAgent {
  readonly name: string
  /** Its models; any if not given. */
  readonly models?: ReadonlyArray<string> | undefined
  /** Why it cannot start, in one sentence: its program is not installed then. */
  readonly broken?: string | undefined
}

const failed = (error: string, more: Partial<Pick<AgentFailed, "kind" | "stderr" | "stopReason">> = {}) =>
  new AgentFailed({ error, stderr: "", stopReason: "error", ...more })

/** The end of a turn that nothing cuts short. */
const endOf = (name: string, reply: Reply.Answered | Reply.AgentFails) => {
  if (reply._tag === "AgentFails") {
    const { error, stderr, stopReason } = reply
    return failed(`Agent ${name} failed the turn: ${error}`, { stderr, stopReason })
  }
  const { costUsd: _cost, ...tokens } = reply.usage ?? {}
  const usage: ReadonlyArray<TurnEvent> = Object.keys(tokens).length === 0 ? [] : [{ _tag: "Usage", ...tokens }]
  const end: TurnEnd = { _tag: "TurnEnd", stopReason: reply.stopReason, usage: reply.usage }
  return [...usage, end]
}

const wait = (duration: Duration.Duration) => (Duration.isZero(duration) ? Effect.void : Effect.sleep(duration))

type Events = Queue.Queue<TurnEvent | TurnEnd, AgentFailed | Cause.Done>

/** Does a turn as the reply has it, and returns how it ends. */
const work = Effect.fnUntraced(function* (name: string, reply: Reply.Answered | Reply.AgentFails, events: Events) {
  const pace = reply._tag === "Answered" ? reply.pace : Duration.zero
  for (const event of reply.events) {
    yield* wait(pace)
    yield* Queue.offer(events, event)
  }
  yield* wait(reply.delay)
  return endOf(name, reply)
})

/**
 * Starts a turn, which ends early where it is cancelled or takes longer than it may. By the time that this returns it waits
 * for the clock, if it waits at all.
 */
const start = Effect.fnUntraced(function* (name: string, { timeout }: AgentTurn, cancel: Effect.Effect<unknown>) {
  const handing = yield* Handing
  const reply = yield* Effect.mapError(handing.reply, () => failed("the prompt was withheld"))
  const events: Events = yield* Queue.unbounded<TurnEvent | TurnEnd, AgentFailed | Cause.Done>()
  const ended = yield* Deferred.make<AgentFailed | ReadonlyArray<TurnEvent | TurnEnd>>()
  const cancelled: TurnEnd = { _tag: "TurnEnd", stopReason: "cancelled" }
  const outOfTime = failed(`Agent ${name} did not finish the turn within ${Duration.format(timeout)}.`, {
    stopReason: "timeout"
  })
  const ways = [
    work(name, reply, events),
    Effect.as(cancel, [cancelled]),
    Duration.isFinite(timeout) ? Effect.as(Effect.sleep(timeout), outOfTime) : Effect.never
  ]
  for (const way of ways) {
    yield* Effect.forkScoped(Deferred.complete(ended, way), { startImmediately: true })
  }
  const end = Effect.gen(function* () {
    const how = yield* Deferred.await(ended)
    if (how instanceof AgentFailed) return yield* Queue.fail(events, how)
    yield* Queue.offerAll(events, how)
    return yield* Queue.end(events)
  })
  yield* Effect.forkScoped(end, { startImmediately: true })
  return Stream.fromQueue(events)
})

const features = { audio: false, embedded_context: false, images: true, load: true, mcp: true, resume: true }

/** `handed` counts the prompts that they have been handed. */
export const layer = (agents: ReadonlyArray<FakeAgent>, handed: Counter.Counter) => {
  const table = new Map(agents.map((agent) => [agent.name, agent]))
  const [first] = agents
  const opened = new Set<string>()
  const offerOf = ({ models }: FakeAgent): AgentOffer => ({
    features,
    ...(models === undefined ? {} : { models: models.map((id) => ({ id, name: id })) })
  })

  const session = (name: string, id: string): AgentSession => ({
    id,
    pid: 0,
    isRestorable: true,
    offer: { features },
    ended: Effect.never,
    turn: (turn, cancel = Effect.never) =>
      Stream.unwrap(Effect.tap(start(name, turn, cancel), () => Counter.add(handed)))
  })

  const open = Effect.fnUntraced(function* (
    random: SecureRandom["Service"],
    name: string,
    { load, model }: { readonly load?: string | undefined; readonly model?: string | undefined }
  ) {
    const agent = table.get(name)
    if (agent === undefined) return yield* missing(name)
    if (agent.broken !== undefined) return yield* failed(agent.broken, { kind: "cannot_start" })
    if (model !== undefined && agent.models !== undefined && !agent.models.includes(model)) {
      const error = `the agent ${name} refused the model ${JSON.stringify(model)}; it has ${agent.models.join(", ")}`
      return yield* new AgentOptionRefused({ option: "model", error })
    }
    opened.add(name)
    return session(name, load ?? (yield* random.uuidV4()))
  })

  return Layer.merge(
    Layer.effect(
      Agents,
      Effect.map(SecureRandom, (random) =>
        Agents.of({
          has: (name) => table.has(name),
          names: [...table.keys()],
          defaultName: Option.map(Option.fromUndefinedOr(table.get("claude") ?? first), ({ name }) => name),
          offerOf: (name) =>
            Option.map(Option.fromUndefinedOr(opened.has(name) ? table.get(name) : undefined), offerOf),
          open: (name, options) => open(random, name, options)
        })
      )
    ),
    Layer.succeed(
      InstalledAgents,
      InstalledAgents.of({
        any: agents.some(({ broken }) => broken === undefined),
        claude: table.has("claude"),
        programs: agents.map(({ broken, name }) => ({
          agent: name,
          program: name,
          isInstalled: broken === undefined
        })),
        claudeVersion: Option.none()
      })
    )
  )
}
