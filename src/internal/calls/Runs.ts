/**
 * `POST /run`.
 */
import { Effect } from "effect"
import { HttpBody } from "effect/http"
import type { ApiError } from "../../ForgeError.ts"
import * as Paths from "../../wire/Paths.ts"
import * as Wire from "../../wire/Runs.ts"
import type { Run, RunOptions, RunStreamOptions } from "../../Run.ts"
import * as Delivery from "./Delivery.ts"
import * as Input from "./Input.ts"
import { decodeTo, decoder, defineStreamed } from "./Operation.ts"
import { deadlineOf, defaultTimeout, type PreparedTurn, timeoutOf, timesOf } from "./Turns.ts"

/** One prompt, one answer. */
export const send = defineStreamed({
  name: "Forge.run",
  method: "POST",
  path: Paths.run,
  statuses: [404, 413, 422, 502],
  keyed: true,
  deadline: deadlineOf(defaultTimeout),
  decode: decodeTo(decoder(Wire.RunResponse), ({ ok: _ok, ...run }): Run => run),
  // The answer to a run has no events in it.
  streamed: { assemble: (last) => last, eventsOf: () => [] }
})

/** A server reports the usage of a run only where it is asked for. */
export const query = "?usage=true"

const encodeRequest = Input.encoder(Wire.RunRequest)

/** A run as it will be sent. */
export interface PreparedRun extends PreparedTurn {
  readonly agent: string | undefined
  readonly model: string | null | undefined
  readonly system: string | null | undefined
}

/** Encodes a run; its timeout is always sent, other options only where they are given. */
export const prepare = Effect.fnUntraced(function* (
  prompt: string,
  options: RunOptions & RunStreamOptions = {}
): Effect.fn.Return<PreparedRun, ApiError<422>> {
  let timeout = defaultTimeout
  const wire = yield* encodeRequest(send, () => {
    const { agent, effort, files, model, system, systemMode } = options
    timeout = timeoutOf(options)
    return {
      prompt,
      ...timesOf(options, timeout),
      ...(agent === undefined ? {} : { agent }),
      ...(model === undefined ? {} : { model }),
      ...(system === undefined ? {} : { system }),
      ...(systemMode === undefined ? {} : { systemMode }),
      ...(effort === undefined ? {} : { effort }),
      ...(files === undefined ? {} : { files: files.map(Input.tokenText) })
    }
  })
  const delivery = yield* Delivery.prepare(send, options, timeout)
  return {
    prompt: wire.prompt,
    agent: wire.agent ?? undefined,
    model: wire.model,
    system: wire.system,
    body: HttpBody.jsonUnsafe(wire),
    deadline: deadlineOf(timeout),
    secrets: [wire.prompt, ...(wire.system ? [wire.system] : []), ...(wire.files ?? [])],
    delivery
  }
})
