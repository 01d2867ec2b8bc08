/**
 * A chat backend: one conversation for each user, whose answers are streamed to the browser and go on after a reload.
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Duration, Effect, Layer, Option, Schema, Sink, Stream } from "effect"
import * as Sse from "effect/encoding/Sse"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { createServer } from "node:http"
import { Conversations, type ForgeError, Turn } from "../../src/index.ts"
import { NodeForgeClient } from "../../src/node/index.ts"

export class Chats extends Conversations.Service<Chats>()("Chats", {
  lookup: (user: string) => Effect.succeed({ agent: "claude", meta: { user } }),
  idleTimeToLive: "20 minutes",
  onClosed: "renew"
}) {}

/** In a real application: the user of the session cookie. Whose conversation it is must not be up to the request. */
const currentUser = Effect.map(HttpServerRequest.HttpServerRequest, ({ cookies }) => cookies["user"] ?? "guest")

/** The browser names each question, so that it can ask for the rest of an answer after a reload. */
const Question = Schema.Struct({ id: Schema.String.check(Schema.isUUID()), prompt: Schema.NonEmptyString })

const failed = (status: number, message: string, retryAfter?: Duration.Duration) =>
  HttpServerResponse.jsonUnsafe(
    { message },
    { status, headers: retryAfter === undefined ? {} : { "retry-after": String(Duration.toSeconds(retryAfter)) } }
  )

const toResponse = (error: ForgeError.TurnError) => {
  switch (error._tag) {
    case "AuthError":
      return failed(500, "The chat is not set up.")
    case "SessionClosed":
      return failed(409, "The conversation was closed. Ask again to begin another.")
    case "TransportError":
      return failed(502, "The agent cannot be reached.")
    case "ApiError":
      if (error.status === 422) return failed(400, error.message)
      if (error.status === 429 || error.status === 503) return failed(503, "Too busy just now.", error.retryAfter)
      return failed(502, "The agent failed.")
  }
}

const encodePart = Schema.encodeEffect(Schema.fromJsonString(Schema.toCodecJson(Turn.Part)))

const toFrame = Effect.fnUntraced(function* ({ cursor, part }: Turn.Numbered<Turn.Part>) {
  const data = yield* Effect.orDie(encodePart(part))
  return Sse.encoder.write({ _tag: "Event", id: String(cursor), event: part._tag, data })
})

/** A failure after the first part can only be another event. */
const errorFrame = (error: ForgeError.TurnError) =>
  Sse.encoder.write({ _tag: "Event", id: undefined, event: "Failed", data: JSON.stringify({ message: error.message }) })

const chat = Effect.gen(function* () {
  const user = yield* currentUser
  const { id, prompt } = yield* HttpServerRequest.schemaBodyJson(Question)
  const { headers } = yield* HttpServerRequest.HttpServerRequest
  const after = Number(headers["last-event-id"] ?? 0)
  const parts = Chats.stream(user, (session) =>
    session.stream(prompt, { key: id, after, onInterrupt: "detach" }).pipe(Turn.withCursor({ after }))
  )
  // The first part decides about the status.
  const [first, rest] = yield* Stream.peel(parts, Sink.head<Turn.Numbered<Turn.Part>>())
  const frames = Stream.concat(Stream.fromIterable(Option.toArray(first)), rest).pipe(
    Stream.mapEffect(toFrame),
    Stream.catch((error) => Stream.make(errorFrame(error))),
    Stream.encodeText
  )
  return HttpServerResponse.stream(frames, {
    contentType: "text/event-stream; charset=utf-8",
    headers: { "cache-control": "no-store", "x-accel-buffering": "no" }
  })
}).pipe(
  Effect.catchTags({
    SchemaError: () => Effect.succeed(failed(400, "The question is not valid.")),
    HttpServerError: () => Effect.succeed(failed(400, "The question cannot be read.")),
    ApiError: (error) => Effect.succeed(toResponse(error)),
    AuthError: (error) => Effect.succeed(toResponse(error)),
    SessionClosed: (error) => Effect.succeed(toResponse(error)),
    TransportError: (error) => Effect.succeed(toResponse(error))
  })
)

const page = `<!doctype html>
<meta charset="utf-8"><title>Chat</title>
<form><input name="prompt" autofocus><button>Ask</button></form>
<pre></pre>
<script type="module">
  const [form, out] = [document.querySelector("form"), document.querySelector("pre")]
  const saved = () => JSON.parse(sessionStorage.getItem("chat") ?? "null")
  const save = (chat) => sessionStorage.setItem("chat", JSON.stringify(chat))
  /** Reads an answer, from where the page was when it was left. */
  const read = async () => {
    const chat = saved()
    out.textContent = chat.text
    const response = await fetch("/chat", {
      method: "POST",
      headers: { "content-type": "application/json", "last-event-id": String(chat.cursor) },
      body: JSON.stringify({ id: chat.id, prompt: chat.prompt })
    })
    if (!response.ok) return void (out.textContent += (await response.json()).message)
    let rest = ""
    for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
      const frames = (rest + piece).split("\\n\\n")
      rest = frames.pop()
      for (const frame of frames) {
        const { id, event, data } = Object.fromEntries(frame.split("\\n").map((line) => line.split(/: (.*)/s)))
        const part = JSON.parse(data)
        if (event === "Failed") out.textContent += part.message
        if (event === "Text") chat.text += part.content
        if (id !== undefined) chat.cursor = Number(id)
        chat.done = event === "Done"
        save(chat)
        if (event === "Text") out.textContent = chat.text
      }
    }
  }
  form.onsubmit = (event) => {
    event.preventDefault()
    const prompt = form.prompt.value
    save({ id: crypto.randomUUID(), prompt, cursor: 0, text: "", done: false })
    read()
  }
  if (saved()?.done === false) read()
</script>`

export const routes = Layer.mergeAll(
  HttpRouter.add("POST", "/chat", chat),
  HttpRouter.add("GET", "/", HttpServerResponse.html(page))
)

const [, , port] = process.argv
if (port !== undefined) {
  HttpRouter.serve(routes).pipe(
    Layer.provide(Chats.layer),
    Layer.provide(NodeHttpServer.layer(createServer, { port: Number(port), host: "127.0.0.1" })),
    Layer.provide(NodeForgeClient.layerConfig()),
    Layer.launch,
    NodeRuntime.runMain
  )
}
