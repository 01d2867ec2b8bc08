/**
 * A server in memory that streams its turns as ours does: numbered frames that are kept under the call's key, so that a reader
 * goes on after the last one that it had.
 */
import { type Answer, created, type Received, type Script } from "./ScriptedServer.ts"
import { health } from "./Clients.ts"

/** The frames of a turn: its events, and the body that ends it. */
export interface Turn {
  readonly events: ReadonlyArray<unknown>
  readonly done?: Readonly<Record<string, unknown>>
}

const doneOf = (id: string, index: number) => ({
  ok: true,
  session_id: id,
  turn_index: index,
  stop_reason: "end_turn",
  duration_ms: 5
})

const typeOf = (event: unknown): string =>
  typeof event === "object" && event !== null && "type" in event ? String(event.type) : "unknown"

export const frame = (event: string, data: unknown, id?: number): string =>
  `${id === undefined ? "" : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`

/** The frames of events, after one of them. */
export const eventFrames = (events: ReadonlyArray<unknown>, after = 0): string =>
  events.map((event, index) => (index < after ? "" : frame(typeOf(event), event, index + 1))).join("")

/** All frames of a turn, after one of them. */
export const framesOf = ({ done, events }: Turn, after = 0): string =>
  eventFrames(events, after) + frame("done", done ?? doneOf("s-1", 1))

export const stream = (text: string | Uint8Array, more: Partial<Exclude<Answer, string>> = {}): Answer => ({
  headers: { "content-type": "text/event-stream; charset=utf-8" },
  text,
  ...more
})

/** The number of the last frame that a request has. */
export const lastOf = ({ headers }: Pick<Received, "headers">): number => Number(headers["last-event-id"] ?? 0)

/** Opens sessions, names its features, and answers turns with a script. */
export const script =
  (turn: Script, features: ReadonlyArray<string> = ["stream", "idempotency", "cancel"]): Script =>
  (request, nth) => {
    const { method, path } = request
    if (path === "/healthz") return { json: health(features) }
    if (path === "/sessions") return { json: created(1) }
    if (path.endsWith("/cancel")) return { json: { ok: true, cancelled: true } }
    if (method === "DELETE") return { json: { ok: true } }
    return turn(request, nth)
  }
