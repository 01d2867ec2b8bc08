/**
 * Agents that misbehave, and what a server says of them.
 */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { misbehaving } from "../agent/Support.ts"
import { type Answer, type App } from "./Support.ts"

/** An agent named after what it does; one that loads can be brought back. */
export const odd = (behaviour: string, loads = true) => {
  const { command, ...definition } = misbehaving(behaviour)
  return { ...definition, name: behaviour, command: [...command, ...(loads ? ["loads"] : [])] as const }
}

export const openWith = (app: App, agent: string) =>
  Effect.map(app.request("POST", "/sessions", { body: { agent } }), ({ text }) => {
    const { cwd, session_id: id }: { session_id: string; cwd: string } = JSON.parse(text)
    return { id, cwd }
  })

/** What a 502 says, and nothing else. */
export const failureOf = (answer: Answer): { error: string; stderr: string; stop_reason: string } => {
  assert.strictEqual(answer.status, 502, answer.text)
  const body = JSON.parse(answer.text)
  assert.deepStrictEqual(Object.keys(body), ["ok", "error", "stderr", "duration_ms", "stop_reason"])
  return body
}

export const pong = { stopReason: "end_turn", text: "pong" }
