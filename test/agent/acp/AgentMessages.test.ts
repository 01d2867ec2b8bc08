import { assert, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import * as AgentMessages from "../../../src/agent/acp/AgentMessages.ts"
import * as TurnBudget from "../../../src/server/TurnBudget.ts"

const encoder = new TextEncoder()

const read = Effect.fnUntraced(function* (...chunks: ReadonlyArray<string | Uint8Array>) {
  const strays: Array<string> = []
  const bytes = chunks.map((chunk) => (typeof chunk === "string" ? encoder.encode(chunk) : chunk))
  const messages = yield* AgentMessages.decode(Stream.fromIterable(bytes).pipe(Stream.rechunk(1)), {
    budget: TurnBudget.make(),
    counters: AgentMessages.makeCounters(),
    onStrayLine: (line) => Effect.sync(() => strays.push(line))
  }).pipe(Stream.runCollect)
  return { messages, strays }
})

const note = (text: string) => ({ jsonrpc: "2.0", method: "note", params: { text } }) as const
const line = (message: unknown) => `${JSON.stringify(message)}\n`

it.effect("messages may be split anywhere, even within a character, or arrive several in one chunk", () =>
  Effect.gen(function* () {
    const expected = [note("größer"), note("two"), { jsonrpc: "2.0", id: 1, result: null } as const]
    const bytes = encoder.encode(expected.map(line).join(""))
    for (const size of [1, 2, 7, bytes.length]) {
      const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
        bytes.slice(index * size, (index + 1) * size)
      )
      assert.deepStrictEqual((yield* read(...pieces)).messages, expected)
    }
  })
)

it.effect(
  "lines that are not messages are skipped and passed on, except empty ones; an incomplete last line is dropped",
  () =>
    Effect.gen(function* () {
      const { messages, strays } = yield* read(
        "Welcome!\r\n\n",
        line(note("a")),
        '42\n[1]\n{"jsonrpc":"1.0"}\n',
        "half"
      )
      assert.deepStrictEqual(messages, [note("a")])
      assert.deepStrictEqual(strays, ["Welcome!\r", "42", "[1]", '{"jsonrpc":"1.0"}'])
    })
)

it.effect(
  "half a character is U+FFFD, in texts and in names, but in the text of a chunk: its other half may follow",
  () =>
    Effect.gen(function* () {
      const update = (update: object) => ({
        jsonrpc: "2.0",
        method: "session/update",
        params: { sessionId: "s", update }
      })
      const chunk = (text: string, title: string) =>
        update({ sessionUpdate: "agent_message_chunk", content: { type: "text", text }, title })
      const call = (half: string) =>
        update({ sessionUpdate: "tool_call", toolCallId: "c", title: half, rawInput: { [half]: [`a${half}`] } })
      const failed = (half: string) => ({
        jsonrpc: "2.0",
        id: 1,
        error: { code: 1, message: half, data: { message: half } }
      })
      const sent = [chunk("a\ud83d", "\ud83d"), call("\ude00"), failed("\ud83d"), note("😀")]
      const expected = [chunk("a\ud83d", "�"), call("�"), failed("�"), note("😀")]
      assert.deepStrictEqual<ReadonlyArray<unknown>>((yield* read(...sent.map(line))).messages, expected)
    })
)

it.effect("a malformed response becomes an error response, so that its request fails", () =>
  Effect.gen(function* () {
    const answer = { jsonrpc: "2.0", id: 1 }
    const known = { ...answer, error: { code: 1, message: "m" } }
    const odd = [answer, { ...answer, error: "x" }, { ...answer, error: { code: "1", message: "m" } }]
    const { messages, strays } = yield* read(...[known, ...odd].map(line), line({ ...answer, method: 1 }))
    const failure = (data?: string) => ({
      ...answer,
      error: { code: -32603, message: "its response is not valid JSON-RPC", data }
    })
    assert.deepStrictEqual<ReadonlyArray<unknown>>(messages, [known, failure(), failure("x"), failure("m")])
    assert.lengthOf(strays, 1)
  })
)

it.effect("too many stray lines fail the stream", () =>
  Effect.gen(function* () {
    const { reason } = yield* Effect.flip(read("noise\n".repeat(1_001)))
    assert.strictEqual(reason, "wrote more than 1000 lines that are not messages")
  })
)

it.effect("a line that is too long fails the stream", () =>
  Effect.gen(function* () {
    const piece = new Uint8Array(1024 * 1024).fill(120)
    const { reason } = yield* Effect.flip(read(...Array.from({ length: 17 }, () => piece)))
    assert.strictEqual(reason, "wrote a line of more than 16777216 characters")
  })
)

it.effect("a line with too many values fails the stream; brackets and commas in strings do not count", () =>
  Effect.gen(function* () {
    const params = (params: string) => `{"jsonrpc":"2.0","method":"note","params":${params}}\n`
    const text = `["${"[{,}]".repeat(100_000)}"]`
    assert.lengthOf((yield* read(params(text), params(`[${"0,".repeat(99_000)}0]`))).messages, 2)
    for (const values of [
      `[${"0,".repeat(100_000)}0]`,
      `{"a":[${"{},".repeat(50_000)}0]}`,
      `[${'"",'.repeat(100_000)}0]`
    ]) {
      const { reason } = yield* Effect.flip(Effect.asVoid(read(params(values))))
      assert.strictEqual(reason, "wrote a line of more than 100000 values")
    }
  })
)

it.effect("too many characters in one turn fail the stream", () =>
  Effect.gen(function* () {
    const piece = line(note("x".repeat(8 * 1024 * 1024)))
    assert.strictEqual((yield* read(...Array.from({ length: 7 }, () => piece))).messages.length, 7)
    const { reason } = yield* Effect.flip(read(...Array.from({ length: 8 }, () => piece)))
    assert.strictEqual(reason, "wrote more than 67108864 characters in one turn")
  })
)

it.effect("values are charged in addition to their characters", () =>
  Effect.gen(function* () {
    const many = `{"jsonrpc":"2.0","method":"note","params":[${"0,".repeat(99_000)}0]}\n`
    const { reason } = yield* Effect.flip(Effect.asVoid(read(...Array.from({ length: 40 }, () => many))))
    assert.strictEqual(reason, "wrote more than 67108864 characters in one turn")
  })
)

it.effect("values nested too deep become null, and the rest of the message is kept", () =>
  Effect.gen(function* () {
    const nested = (levels: number, inner = "") => `${"[".repeat(levels)}${inner}${"]".repeat(levels)}`
    const note = (params: string) => `{"jsonrpc":"2.0","method":"note","params":{"a":${params},"b":"]]}"}}\n`
    const { messages } = yield* read(note(nested(46)), note(nested(47, '"[",{}')), note(nested(4_000_000)))
    const kept = (params: string) => JSON.parse(note(params))
    assert.deepStrictEqual<ReadonlyArray<unknown>>(messages, [
      kept(nested(46)),
      kept(nested(46, "null")),
      kept(nested(46, "null"))
    ])
  })
)

it.effect("a number too large for a double becomes null", () =>
  Effect.gen(function* () {
    const { messages } = yield* read('{"jsonrpc":"2.0","method":"note","params":{"a":1e999,"b":[-1e400],"c":1e3}}\n')
    assert.deepStrictEqual(messages, [{ jsonrpc: "2.0", method: "note", params: { a: null, b: [null], c: 1000 } }])
  })
)
