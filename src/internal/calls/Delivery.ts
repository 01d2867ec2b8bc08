/**
 * How the answer to a turn or a run is delivered: under which key, by which transport, and how long the caller waits for it.
 */
import { Duration, Effect, Schema } from "effect"
import type { ApiError, Status } from "../../ForgeError.ts"
import type { StreamOptions, TurnOptions } from "../../Turn.ts"
import { FiniteDuration, IdempotencyKey } from "../../wire/Ids.ts"
import * as Input from "./Input.ts"
import { callOf, type Operation } from "./Operation.ts"

export interface Delivery {
  /** The caller's own. */
  readonly key: string | undefined
  readonly queueTimeout: Duration.Duration | undefined
  /** Whether an answer as a whole may come as an event stream. */
  readonly acceptsEvents: boolean
  readonly idle: Duration.Duration | undefined
  /** How many events the caller has read before. */
  readonly after: number
  readonly onInterrupt: "cancel" | "detach"
}

export type Options = TurnOptions & StreamOptions

const Checked = Schema.Struct({
  key: Schema.optional(IdempotencyKey),
  queueTimeout: Schema.optional(FiniteDuration),
  idle: Schema.optional(FiniteDuration),
  after: Schema.Int.check(Schema.isGreaterThanOrEqualTo(0, { message: "must be 0 or more" })),
  onInterrupt: Schema.Literals(["cancel", "detach"]),
  transport: Schema.Literals(["auto", "json", "stream"])
})

const check = Input.encoder(Checked)

/** From this timeout on, a proxy may not wait for an answer that sends no byte until its end: 60 seconds is nginx's default. */
const longTurn = Duration.seconds(60)

const optional = (input: Duration.Input | undefined) => (input === undefined ? undefined : Input.duration(input))

/** Checks the options of a call that are not sent as they are. */
export const prepare = Effect.fnUntraced(function* (
  operation: Operation<Status, unknown>,
  options: Options,
  timeout: Duration.Duration
): Effect.fn.Return<Delivery, ApiError<422>> {
  const { after, idle, key, onInterrupt, queueTimeout, transport } = yield* check(operation, () => {
    const { after = 0, idle, key, onInterrupt = "cancel", queueTimeout, transport = "auto" } = options
    return { key, queueTimeout: optional(queueTimeout), idle: optional(idle), after, onInterrupt, transport }
  })
  if (after > 0 && key === undefined) {
    const message = "needs the key under which the events before it were read"
    return yield* Input.refuse(callOf(operation), [{ path: ["after"], message }])
  }
  const isLong = Duration.isGreaterThanOrEqualTo(timeout, longTurn)
  return {
    key,
    queueTimeout,
    acceptsEvents: transport === "auto" ? isLong : transport === "stream",
    idle,
    after,
    onInterrupt
  }
})
