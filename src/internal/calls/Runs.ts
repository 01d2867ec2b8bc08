/**
 * `POST /run`.
 */
import { Effect } from "effect"
import { HttpBody } from "effect/http"
import * as Paths from "../../wire/Paths.ts"
import * as Wire from "../../wire/Runs.ts"
import type { Run, RunOptions } from "../../Run.ts"
import * as Input from "./Input.ts"
import { decodeTo, decoder, define } from "./Operation.ts"
import { deadlineOf, defaultTimeout, onWire, type PreparedTurn, timeoutOf } from "./Turns.ts"

/** One prompt, one answer. */
export const send = define({
  name: "Forge.run",
  method: "POST",
  path: Paths.run,
  statuses: [404, 413, 422, 502],
  keyed: true,
  deadline: deadlineOf(defaultTimeout),
  decode: decodeTo(decoder(Wire.RunResponse), ({ ok: _ok, ...run }): Run => run)
})

const encodeRequest = Input.encoder(Wire.RunRequest)

/** A run as it will be sent. */
export interface PreparedRun extends PreparedTurn {
  readonly model: string | null | undefined
  readonly system: string | null | undefined
}

/** Encodes a run; its timeout is always sent, other options only where they are given. */
export const prepare = (prompt: string, options: RunOptions = {}) => {
  let timeout = defaultTimeout
  const encoded = encodeRequest(send, () => {
    const { effort, files, model, system, systemMode } = options
    timeout = timeoutOf(options)
    return {
      prompt,
      timeout: onWire(timeout),
      ...(model === undefined ? {} : { model }),
      ...(system === undefined ? {} : { system }),
      ...(systemMode === undefined ? {} : { systemMode }),
      ...(effort === undefined ? {} : { effort }),
      ...(files === undefined ? {} : { files: files.map(Input.tokenText) })
    }
  })
  return Effect.map(encoded, (wire): PreparedRun => ({
    prompt: wire.prompt,
    model: wire.model,
    system: wire.system,
    body: HttpBody.jsonUnsafe(wire),
    deadline: deadlineOf(timeout),
    secrets: [wire.prompt, ...(wire.system ? [wire.system] : []), ...(wire.files ?? [])]
  }))
}
