import { describe, it } from "@effect/vitest"
import { echo, echoes, malformed, shapes } from "../../support/Echoes.ts"
import { sweep, type Way } from "../../support/SecretSweep.ts"

const statuses = [401, 404, 422, 502]

/** One status for each call, in turn; every echo of a turn's prompt in one of a failure's. The slow test has all of them. */
const repeating =
  (write: (typeof shapes)[string], shape: number) =>
  (call: string, nth: number): ReadonlyArray<Way> =>
    (call === "client.run" ? echoes : [echoes[(nth + shape) % echoes.length] ?? String]).map((text, place) => {
      const status = statuses[(nth + place + shape) % statuses.length] ?? 502
      return { name: `${status}, ${String(text)}`, answer: echo(status, write, text) }
    })

describe("no secret is in an error, a span, a log line or a metric", () => {
  for (const [nth, [shape, write]] of Object.entries(shapes).entries()) {
    it.effect(`when a server repeats the request: ${shape}`, () => sweep(repeating(write, nth)))
  }

  it.effect("when an answer with the agent's text cannot be read", () =>
    sweep(() => Object.entries(malformed).map(([name, answer]) => ({ name, answer })))
  )
})
