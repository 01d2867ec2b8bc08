import { describe, it } from "@effect/vitest"
import { echo, echoes, shapes } from "../../support/Echoes.ts"
import { sweep, type Way } from "../../support/SecretSweep.ts"

const statuses = [400, 401, 403, 404, 405, 408, 409, 410, 413, 418, 422, 429, 500, 502, 503, 504, 599]

/** Every status and, for the calls that carry a prompt, every echo; others meet each echo in turn. */
const repeating =
  (write: (typeof shapes)[string]) =>
  (call: string, nth: number): ReadonlyArray<Way> =>
    (/^(client|admin)\./.test(call) ? statuses : [401, 404, 422, 502]).flatMap((status, place) => {
      const all = /^client\.(run|turn)$/.test(call) && [401, 422, 502].includes(status)
      const some = all ? echoes : [echoes[(nth + place) % echoes.length] ?? String]
      return some.map((text) => ({ name: `${status}, ${String(text)}`, answer: echo(status, write, text) }))
    })

describe("no secret is in an error, a span, a log line or a metric", () => {
  for (const [shape, write] of Object.entries(shapes)) {
    it.effect(`when a server repeats the request with every status: ${shape}`, () => sweep(repeating(write)))
  }
})
