/**
 * The calls that send a turn, and that cancel the one under way.
 */
import { Duration, Schema } from "effect"
import { IdempotencyKey } from "../../wire/Ids.ts"
import * as Sessions from "../../wire/Sessions.ts"
import * as TurnEvents from "../../wire/TurnEvents.ts"
import * as Wire from "../../wire/Turns.ts"
import * as Turn from "../../Turn.ts"
import * as Input from "./Input.ts"
import { callDeadline, decodeTo, decoder, define } from "./Operation.ts"

const defaultTimeout = Duration.minutes(2)

/** How long an agent may work. */
export const timeoutOf = ({ timeout = defaultTimeout }: { readonly timeout?: Duration.Input | undefined }) =>
  Input.duration(timeout)

/** How long its answer is waited for: the server's own word on a timeout is to come first. */
export const deadlineOf = (timeout: Duration.Duration): Duration.Duration =>
  Duration.max(Duration.sum(timeout, Duration.seconds(30)), Duration.seconds(5))

/** A timeout as the wire has it: never 0. */
export const onWire = (timeout: Duration.Duration): Duration.Duration => Duration.max(timeout, Duration.seconds(1))

const toTurn = (turn: Wire.TurnResponse): Turn.Turn =>
  Turn.make({
    sessionId: turn.sessionId,
    index: turn.turnIndex,
    events: TurnEvents.decode(turn.events),
    stopReason: turn.stopReason,
    duration: turn.duration,
    usage: turn.usage
  })

/** `POST /sessions/{id}/turn`. */
export const send = define({
  deadline: deadlineOf(defaultTimeout),
  name: "Session.turn",
  method: "POST",
  path: `${Sessions.path}/{id}/turn`,
  statuses: [404, 413, 422, 502],
  keyed: true,
  decode: decodeTo(decoder(Wire.TurnResponse), toTurn)
})

/** `POST /sessions/{id}/cancel`, of servers that name `cancel`. */
export const cancel = define({
  name: "Session.cancel",
  method: "POST",
  path: `${Sessions.path}/{id}/cancel`,
  statuses: [404, 422],
  deadline: callDeadline,
  decode: decodeTo(decoder(Wire.Cancelled), ({ cancelled }) => cancelled)
})

const encodeKey = Input.encoder(Schema.Struct({ key: Schema.optional(IdempotencyKey) }))

/** The key of the turn that a cancel is about. */
export const encodeCancel = (options: { readonly key?: string | undefined }) => encodeKey(cancel, () => options)

const encodeRequest = Input.encoder(Wire.TurnRequest)

/** The body of a turn: its timeout always, one second at least. */
export const encode = (prompt: string, options: Turn.TurnOptions = {}) =>
  encodeRequest(send, () => ({
    prompt,
    timeout: onWire(timeoutOf(options)),
    ...(options.files === undefined ? {} : { files: options.files.map(Input.tokenText) })
  }))
