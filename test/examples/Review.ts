/**
 * A durable workflow with an agent in it. Its activity asks under a key of its own, which is the same whenever it is executed
 * again: after a crash it joins the turn that is under way, or gets its answer, and the agent has the prompt once.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect, Layer, Schema } from "effect"
import { Activity, Workflow, WorkflowEngine } from "effect/workflow"
import { Forge } from "../../src/index.ts"
import { NodeForgeClient } from "../../src/node/index.ts"

export const Review = Workflow.make("Review", {
  payload: { change: Schema.String, prompt: Schema.String },
  idempotencyKey: ({ change }) => change,
  success: Schema.String,
  error: Schema.String
})

const ask = (prompt: string) =>
  Activity.make({
    name: "ask",
    success: Schema.String,
    error: Schema.String,
    execute: Effect.gen(function* () {
      const key = yield* Activity.idempotencyKey("ask")
      // No scope closes it: after a crash the same key gives the same session.
      const session = yield* Forge.open({ agent: "claude", key })
      const { text } = yield* session.turn(prompt, { key, timeout: "5 minutes" })
      yield* Effect.ignore(session.close)
      return text
    }).pipe(Effect.mapError(({ message }) => message))
  })

export const layer = Review.toLayer(({ prompt }) => ask(prompt))

const [, , change, prompt] = process.argv
if (change !== undefined && prompt !== undefined) {
  Review.execute({ change, prompt }).pipe(
    Effect.flatMap(Console.log),
    // A cluster's engine in production, which executes what a crash has left.
    Effect.provide(Layer.provideMerge(layer, WorkflowEngine.layerMemory)),
    Effect.provide(NodeForgeClient.layerConfig()),
    NodeRuntime.runMain
  )
}
