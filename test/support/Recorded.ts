/**
 * Runs programs against a scripted server, and records their telemetry.
 */
import { Effect, type Tracer } from "effect"
import type { HttpClient } from "effect/http"
import { Forge, type ForgeClient } from "../../src/index.ts"
import { layer } from "./MemoryServer.ts"
import * as Recorder from "./Recorder.ts"
import { type Script, type ScriptedServer, turn, wellBehaved } from "./ScriptedServer.ts"

/** A server whose turns report their usage, and that fails as the prompt says. */
export const script = (): Script => {
  const usual = wellBehaved()
  return (request, nth) => {
    if (!request.path.endsWith("/turn")) return usual(request, nth)
    const { prompt } = JSON.parse(request.body) as { readonly prompt: string }
    const status = /^fail (\d+)$/.exec(prompt)?.[1]
    if (status !== undefined) return { status: Number(status), json: { detail: "no" } }
    if (prompt === "broken") return "reset"
    return { json: { ...turn("s-1", 1, "the answer"), usage: { input_tokens: 7, output_tokens: 11 } } }
  }
}

export type Test<A, E> = Effect.Effect<A, E, ForgeClient.ForgeClient | HttpClient.HttpClient | ScriptedServer>

/** Runs a program with a recorder and a server, and gives what was recorded. */
export const record = Effect.fnUntraced(function* <A, E>(
  test: Test<A, E>,
  {
    options,
    script: given = script()
  }: { readonly script?: Script; readonly options?: Partial<ForgeClient.Options> } = {}
) {
  const recorder = Recorder.make()
  const exit = yield* Effect.exit(test).pipe(
    Effect.provide(layer(given, { retry: false, ...options })),
    Effect.provide(recorder.layer)
  )
  return { ...recorder, exit, tree: Recorder.tree(recorder.spans), metrics: yield* recorder.metrics }
})

export const attributesOf = (spans: ReadonlyArray<Tracer.Span>, name: string): Record<string, unknown> =>
  Object.fromEntries(spans.find((span) => span.name === name)?.attributes ?? [])

/**
 * The series of a metric: its attributes, and how often and with what sum it was updated. The state of each has the type
 * of its kind of metric, which the compiler cannot know from its id.
 */
export const seriesOf = ({ metrics }: { readonly metrics: ReadonlyArray<{ id: string }> }, id: string) =>
  metrics.filter((metric) => metric.id === id) as unknown as ReadonlyArray<{
    readonly attributes: Record<string, string>
    readonly state: { readonly count: number; readonly sum: number; readonly value: number }
  }>

export const hello = Forge.withSession({ agent: "demo" }, (session) => session.turn("hello"))
