/**
 * The calls that send a turn, and that cancel one.
 */
import { Duration, Effect, Schema } from "effect"
import { HttpBody } from "effect/http"
import * as Paths from "../../wire/Paths.ts"
import * as TurnEvents from "../../wire/TurnEvents.ts"
import * as Wire from "../../wire/Turns.ts"
import type { ApiError } from "../../ForgeError.ts"
import * as Turn from "../../Turn.ts"
import * as Delivery from "./Delivery.ts"
import * as Input from "./Input.ts"
import { callDeadline, decodeTo, decoder, define, defineStreamed } from "./Operation.ts"

export const defaultTimeout = Duration.minutes(2)

/** How long an agent may work. */
export const timeoutOf = ({ timeout = defaultTimeout }: { readonly timeout?: Duration.Input | undefined }) =>
  Input.duration(timeout)

/** A timeout as the wire has it, never 0, and how long the call goes on without its reader. */
export const timesOf = ({ onInterrupt }: Pick<Delivery.Options, "onInterrupt">, timeout: Duration.Duration) => {
  const sent = Duration.max(timeout, Duration.seconds(1))
  return { timeout: sent, ...(onInterrupt === "detach" ? { linger: sent } : {}) }
}

/** The deadline of a call whose agent has this timeout: the server's own timeout must come first. */
export const deadlineOf = (timeout: Duration.Duration): Duration.Duration =>
  Duration.max(Duration.sum(timeout, Duration.seconds(30)), Duration.seconds(5))

const toTurn = ({ events, ok: _ok, ...parts }: Wire.TurnResponse): Turn.Turn =>
  Turn.make({ ...parts, events: TurnEvents.decode(events) })

const hasEvents = Schema.is(Schema.Struct({ events: Schema.Array(Schema.Unknown) }))

/** `POST /sessions/{id}/turn`. */
export const send = defineStreamed({
  deadline: deadlineOf(defaultTimeout),
  name: "Session.turn",
  method: "POST",
  path: Paths.turn.template,
  statuses: [404, 410, 413, 422, 502],
  keyed: true,
  decode: decodeTo(decoder(Wire.TurnResponse), toTurn),
  streamed: {
    assemble: (last, events) => ({ ...last, events }),
    eventsOf: (json) => (hasEvents(json) ? json.events : [])
  }
})

/** `POST /sessions/{id}/cancel`, on servers that name `cancel`. */
export const cancel = define({
  name: "Session.cancel",
  method: "POST",
  path: Paths.cancel.template,
  statuses: [404, 422],
  deadline: callDeadline,
  decode: decodeTo(decoder(Wire.Cancelled), ({ cancelled }) => cancelled)
})

const encodeRequest = Input.encoder(Wire.TurnRequest)

/** A turn as it will be sent: what the caller changes in its options from here on has no effect. */
export interface PreparedTurn {
  readonly prompt: string
  readonly body: HttpBody.HttpBody
  readonly deadline: Duration.Duration
  readonly secrets: ReadonlyArray<string>
  readonly delivery: Delivery.Delivery
}

/** Encodes a turn; its timeout is always sent, one second at least. */
export const prepare = Effect.fnUntraced(function* (
  prompt: string,
  options: Delivery.Options = {}
): Effect.fn.Return<PreparedTurn, ApiError<422>> {
  let timeout = defaultTimeout
  const wire = yield* encodeRequest(send, () => {
    timeout = timeoutOf(options)
    return {
      prompt,
      ...timesOf(options, timeout),
      ...(options.files === undefined ? {} : { files: options.files.map(Input.tokenText) })
    }
  })
  const delivery = yield* Delivery.prepare(send, options, timeout)
  return {
    prompt: wire.prompt,
    body: HttpBody.jsonUnsafe(wire),
    deadline: deadlineOf(timeout),
    secrets: [wire.prompt, ...(wire.files ?? [])],
    delivery
  }
})
