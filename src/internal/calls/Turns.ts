/**
 * The calls that send a turn, and that cancel one.
 */
import { Duration, Effect } from "effect"
import { HttpBody } from "effect/http"
import * as Paths from "../../wire/Paths.ts"
import * as TurnEvents from "../../wire/TurnEvents.ts"
import * as Wire from "../../wire/Turns.ts"
import * as Turn from "../../Turn.ts"
import * as Input from "./Input.ts"
import { callDeadline, decodeTo, decoder, define } from "./Operation.ts"

export const defaultTimeout = Duration.minutes(2)

/** How long an agent may work. */
export const timeoutOf = ({ timeout = defaultTimeout }: { readonly timeout?: Duration.Input | undefined }) =>
  Input.duration(timeout)

/** The deadline of a call whose agent has this timeout: the server's own timeout must come first. */
export const deadlineOf = (timeout: Duration.Duration): Duration.Duration =>
  Duration.max(Duration.sum(timeout, Duration.seconds(30)), Duration.seconds(5))

/** A timeout as the wire has it: never 0. */
export const onWire = (timeout: Duration.Duration): Duration.Duration => Duration.max(timeout, Duration.seconds(1))

const toTurn = ({ events, ok: _ok, ...parts }: Wire.TurnResponse): Turn.Turn =>
  Turn.make({ ...parts, events: TurnEvents.decode(events) })

/** `POST /sessions/{id}/turn`. */
export const send = define({
  deadline: deadlineOf(defaultTimeout),
  name: "Session.turn",
  method: "POST",
  path: Paths.turn.template,
  statuses: [404, 410, 413, 422, 502],
  keyed: true,
  decode: decodeTo(decoder(Wire.TurnResponse), toTurn)
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
}

/** Encodes a turn; its timeout is always sent, one second at least. */
export const prepare = (prompt: string, options: Turn.TurnOptions = {}) => {
  let timeout = defaultTimeout
  const encoded = encodeRequest(send, () => {
    timeout = timeoutOf(options)
    return {
      prompt,
      timeout: onWire(timeout),
      ...(options.files === undefined ? {} : { files: options.files.map(Input.tokenText) })
    }
  })
  return Effect.map(encoded, (wire): PreparedTurn => ({
    prompt: wire.prompt,
    body: HttpBody.jsonUnsafe(wire),
    deadline: deadlineOf(timeout),
    secrets: [wire.prompt, ...(wire.files ?? [])]
  }))
}
