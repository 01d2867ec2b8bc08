/**
 * The parts of a stream: the events of a turn or a run as they happen, then what came of it.
 */
import { Schema } from "effect"
import { type Run, run, type RunEncoded } from "./Runs.ts"
import { type TurnEncoded, turn } from "./TurnCodec.ts"
import type { TurnEvent, TurnEventEncoded } from "./TurnEvent.ts"
import { turnEvent } from "./TurnEventCodec.ts"
import type { Turn } from "./Turns.ts"

/** The last part of a streamed turn. */
export interface TurnDone {
  readonly _tag: "Done"
  readonly turn: Turn
}

/** The last part of a streamed run. */
export interface RunDone {
  readonly _tag: "Done"
  readonly run: Run
}

export type TurnPart = TurnEvent | TurnDone
export type RunPart = TurnEvent | RunDone

export type TurnPartEncoded = TurnEventEncoded | { readonly type: "done"; readonly turn: TurnEncoded }
export type RunPartEncoded = TurnEventEncoded | { readonly type: "done"; readonly run: RunEncoded }

const _tag = Schema.Literal("done").transform("Done")

export const turnPart: Schema.Codec<TurnPart, TurnPartEncoded> = Schema.Union([
  Schema.Struct({ _tag, turn }).pipe(Schema.encodeKeys({ _tag: "type" })),
  turnEvent
])

export const runPart: Schema.Codec<RunPart, RunPartEncoded> = Schema.Union([
  Schema.Struct({ _tag, run }).pipe(Schema.encodeKeys({ _tag: "type" })),
  turnEvent
])
