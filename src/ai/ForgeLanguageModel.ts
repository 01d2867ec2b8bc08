/**
 * A language model of `effect/ai` whose answers come from an agent's sessions.
 *
 * Whatever is written for `LanguageModel` runs on it: `generateText`, `streamText`, `generateObject` and `Chat`. A call
 * without a history opens a session; the next call of its chat goes on there, and sends only what is new. Where that session
 * is gone, busy or ahead, the chat begins anew in another one, which is given the whole conversation, and says so in the
 * finish part's metadata, as `clawdforge.anew`.
 *
 * An agent has its own tools. Its calls of them are parts of the response where the toolkit declares them with
 * `Tool.providerDefined`; the others are in the finish part's metadata, as `clawdforge.toolCalls`. It cannot call tools of
 * the program.
 *
 * **Example** (A chat with Claude)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Chat } from "effect/ai"
 * import { ForgeLanguageModel } from "effect-clawdforge/ai"
 *
 * const program = Effect.gen(function* () {
 *   const chat = yield* Chat.empty
 *   yield* chat.generateText({ prompt: "Remember heliotrope." })
 *   const { text } = yield* chat.generateText({ prompt: "Which word was it?" })
 *   return text
 * }).pipe(Effect.provide(ForgeLanguageModel.layer({ session: { agent: "claude" } })))
 * ```
 */
import { Context, type Duration, Effect, Layer, Queue, Schema, type Scope, Stream } from "effect"
import { AiError, LanguageModel, type Response, ResponseIdTracker } from "effect/ai"
import { ForgeClient } from "../ForgeClient.ts"
import type { TurnOptions } from "../Turn.ts"
import * as AiFailure from "./AiFailure.ts"
import * as ChatSessions from "./ChatSessions.ts"
import * as PromptText from "./PromptText.ts"
import * as ResponseParts from "./ResponseParts.ts"

export interface Options extends ChatSessions.Options {
  /** How long the agent may work on a call: 2 minutes by default. */
  readonly timeout?: Duration.Input | undefined
  /** How often the agent is asked again when its answer to `generateObject` does not match: twice by default. */
  readonly repairs?: number | undefined
}

/** The prompt of a call, in the session that it goes on in. */
interface Request {
  readonly place: ChatSessions.Place
  readonly text: string
  readonly options: TurnOptions
  readonly tools: ResponseParts.DeclaredTools
}

export const make = Effect.fnUntraced(function* (
  options: Options = {}
): Effect.fn.Return<LanguageModel.LanguageModel, never, ForgeClient | Scope.Scope> {
  const client = yield* ForgeClient
  const sessions = yield* ChatSessions.make(options)

  /** Runs a call in its session. */
  const inSession = Effect.fnUntraced(
    function* <A, E extends AiFailure.Failure | AiError.AiError, R>(
      method: string,
      { incrementalPrompt, previousResponseId: id, prompt, toolChoice, tools }: LanguageModel.ProviderOptions,
      use: (request: Request) => Effect.Effect<A, E, R>
    ) {
      const foreign = ResponseParts.notDeclared(tools)
      if (foreign !== undefined) return yield* AiFailure.toolRefused(method, foreign)
      if (tools.length > 0 && toolChoice !== "auto") {
        return yield* AiFailure.refused(
          method,
          "an agent decides itself which of its tools it calls: leave toolChoice out"
        )
      }
      const whole = yield* PromptText.make(prompt)
      const fresh = yield* PromptText.make(incrementalPrompt ?? prompt)
      const messages = prompt.content.length
      // Between them is the response.
      const before = messages - (incrementalPrompt?.content.length ?? 0) - 1
      const previous = id === undefined ? undefined : { id, messages: before }
      const inPlace = Effect.fnUntraced(function* (place: ChatSessions.Place) {
        const { files, text } = place.goesOn ? fresh : whole
        const uploaded = yield* Effect.forEach(files, (file) => client.upload(file))
        const turn = { files: uploaded.map(({ token }) => token), timeout: options.timeout }
        return yield* use({ place, text, options: turn, tools: new ResponseParts.DeclaredTools(tools) })
      })
      const { hasAnswers, system } = whole
      const isSystemNew = fresh.system !== undefined
      return yield* sessions.use({ previous, messages, system, isSystemNew, hasAnswers }, inPlace)
    },
    (call, method) =>
      Effect.mapError(call, (error) => (AiError.isAiError(error) ? error : AiFailure.from(method)(error)))
  )

  const generateText = Effect.fnUntraced(function* ({ options, place, text, tools }: Request) {
    const turn = yield* place.session.turn(text, options)
    const parts: Array<Response.PartEncoded> = [
      yield* ResponseParts.metadataOf(turn, place),
      ...ResponseParts.contentOf(turn, tools),
      ResponseParts.finishOf(turn, place, tools)
    ]
    return parts
  })

  const generateObject = Effect.fnUntraced(function* (
    { options: turnOptions, place, text, tools }: Request,
    schema: Schema.Codec<unknown, unknown>
  ) {
    const { turn, usage, value } = yield* place.session.turnAs(schema, text, {
      ...turnOptions,
      repairs: options.repairs
    })
    const json = yield* Effect.orDie(Schema.encodeEffect(schema)(value))
    const parts: Array<Response.PartEncoded> = [
      yield* ResponseParts.metadataOf(turn, place),
      { type: "text", text: JSON.stringify(json) },
      ResponseParts.finishOf({ ...turn, usage }, place, tools)
    ]
    return parts
  })

  const streamText = Effect.fnUntraced(function* (
    { options, place, text, tools }: Request,
    offer: (parts: ReadonlyArray<Response.StreamPartEncoded>) => Effect.Effect<unknown>
  ) {
    const streamer = ResponseParts.makeStreamer(tools)
    yield* Stream.runForEach(
      place.session.stream(text, options),
      Effect.fnUntraced(function* (part) {
        if (part._tag !== "Done") return yield* offer(streamer.add(part))
        const metadata = yield* ResponseParts.metadataOf(part.turn, place)
        return yield* offer([...streamer.end(), metadata, ResponseParts.finishOf(part.turn, place, tools)])
      })
    )
  })

  return yield* LanguageModel.make({
    generateText: (request) => {
      const { responseFormat } = request
      if (responseFormat.type === "text") return inSession("generateText", request, generateText)
      // Boundary: of the type checker. The services of the schema are in the context of the fiber that calls the model.
      const schema = responseFormat.schema as Schema.Codec<unknown, unknown>
      return inSession("generateObject", request, (one) => generateObject(one, schema))
    },
    streamText: (request) =>
      Stream.callback<Response.StreamPartEncoded, AiError.AiError>(
        (queue) =>
          inSession("streamText", request, (one) => streamText(one, (parts) => Queue.offerAll(queue, parts))).pipe(
            Effect.matchCauseEffect({
              onFailure: (cause) => Queue.failCause(queue, cause),
              onSuccess: () => Queue.end(queue)
            })
          ),
        { bufferSize: 16, strategy: "suspend" }
      ),
    supportsSystemMessagesInHistory: Effect.succeed(true)
  })
})

/** A language model whose sessions are closed when the layer ends, and the tracker by which chats find theirs. */
export const layer = (
  options?: Options
): Layer.Layer<LanguageModel.LanguageModel | ResponseIdTracker.ResponseIdTracker, never, ForgeClient> =>
  Layer.effectContext(
    Effect.gen(function* () {
      const model = yield* make(options)
      const tracker = yield* ResponseIdTracker.make
      return Context.make(LanguageModel.LanguageModel, model).pipe(
        Context.add(ResponseIdTracker.ResponseIdTracker, tracker)
      )
    })
  )
