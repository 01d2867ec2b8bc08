/**
 * `POST /run`.
 */
import * as Wire from "../../wire/Runs.ts"
import type { Run, RunOptions } from "../../Run.ts"
import * as Input from "./Input.ts"
import { decodeTo, decoder, define } from "./Operation.ts"
import { deadlineOf, onWire, timeoutOf } from "./Turns.ts"

const toRun = ({ duration, result, stopReason, usage }: Wire.RunResponse): Run => ({
  result,
  duration,
  stopReason,
  usage
})

/** One prompt, one answer. */
export const send = define({
  name: "Forge.run",
  method: "POST",
  path: Wire.path,
  statuses: [404, 413, 422, 502],
  keyed: true,
  deadline: deadlineOf(timeoutOf({})),
  decode: decodeTo(decoder(Wire.RunResponse), toRun)
})

const encodeRequest = Input.encoder(Wire.RunRequest)

/** The body of a run: its timeout always, and nothing else that was not given. */
export const encode = (prompt: string, options: RunOptions = {}) =>
  encodeRequest(send, () => {
    const { effort, files, model, system, systemMode } = options
    return {
      prompt,
      timeout: onWire(timeoutOf(options)),
      ...(model === undefined ? {} : { model }),
      ...(system === undefined ? {} : { system }),
      ...(systemMode === undefined ? {} : { systemMode }),
      ...(effort === undefined ? {} : { effort }),
      ...(files === undefined ? {} : { files: files.map(Input.tokenText) })
    }
  })
