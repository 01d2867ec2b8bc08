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
    written: AgentMessages.nothing(),
    stray: (line) => Effect.sync(() => strays.push(line))
  }).pipe(Stream.runCollect)
  return { messages, strays }
})

const note = (text: string) => ({ jsonrpc: "2.0", method: "note", params: { text } }) as const
const line = (message: unknown) => `${JSON.stringify(message)}\n`

it.effect("a message may come in any pieces, within a character too, and several in one", () =>
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

it.effect("what is no message is passed over and handed on, empty lines aside; half a line at the end is nothing", () =>
  Effect.gen(function* () {
    const { messages, strays } = yield* read("Welcome!\r\n\n", line(note("a")), '42\n[1]\n{"jsonrpc":"1.0"}\n', "half")
    assert.deepStrictEqual(messages, [note("a")])
    assert.deepStrictEqual(strays, ["Welcome!\r", "42", "[1]", '{"jsonrpc":"1.0"}'])
  })
)

it.effect("an answer in no form of the protocol is a failure, so that nobody waits for another", () =>
  Effect.gen(function* () {
    const answer = { jsonrpc: "2.0", id: 1 }
    const known = { ...answer, error: { code: 1, message: "m" } }
    const odd = [answer, { ...answer, error: "x" }, { ...answer, error: { code: "1", message: "m" } }]
    const { messages, strays } = yield* read(...[known, ...odd].map(line), line({ ...answer, method: 1 }))
    const failure = (data?: string) => ({
      ...answer,
      error: { code: -32603, message: "its answer is no answer of the protocol", data }
    })
    assert.deepStrictEqual<ReadonlyArray<unknown>>(messages, [known, failure(), failure("x"), failure("m")])
    assert.lengthOf(strays, 1)
  })
)

it.effect("too much noise is the end", () =>
  Effect.gen(function* () {
    const { reason } = yield* Effect.flip(read("noise\n".repeat(1_001)))
    assert.strictEqual(reason, "wrote more than 1000 lines that are no messages")
  })
)

it.effect("a line without an end is the end", () =>
  Effect.gen(function* () {
    const piece = new Uint8Array(1024 * 1024).fill(120)
    const { reason } = yield* Effect.flip(read(...Array.from({ length: 17 }, () => piece)))
    assert.strictEqual(reason, "wrote a line of more than 16777216 characters")
  })
)

it.effect(
  "a line of more values than can be read while others wait is the end; brackets and commas in texts are none",
  () =>
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

it.effect("more in one turn than an answer can hold is the end", () =>
  Effect.gen(function* () {
    const piece = line(note("x".repeat(8 * 1024 * 1024)))
    assert.strictEqual((yield* read(...Array.from({ length: 7 }, () => piece))).messages.length, 7)
    const { reason } = yield* Effect.flip(read(...Array.from({ length: 8 }, () => piece)))
    assert.strictEqual(reason, "wrote more than 67108864 characters in one turn")
  })
)

it.effect("many values count for more than their characters", () =>
  Effect.gen(function* () {
    const many = `{"jsonrpc":"2.0","method":"note","params":[${"0,".repeat(99_000)}0]}\n`
    const { reason } = yield* Effect.flip(Effect.asVoid(read(...Array.from({ length: 40 }, () => many))))
    assert.strictEqual(reason, "wrote more than 67108864 characters in one turn")
  })
)

it.effect("what is nested deeper than any client reads is null, and the rest of its message is kept", () =>
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

it.effect("a number that no double holds is null, since no answer could say it", () =>
  Effect.gen(function* () {
    const { messages } = yield* read('{"jsonrpc":"2.0","method":"note","params":{"a":1e999,"b":[-1e400],"c":1e3}}\n')
    assert.deepStrictEqual(messages, [{ jsonrpc: "2.0", method: "note", params: { a: null, b: [null], c: 1000 } }])
  })
)
