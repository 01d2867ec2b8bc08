/**
 * Which call of a tool an event shows: agents use an id again, so it does not tell the calls of a turn apart.
 */
import type { ToolCall, TurnEvent } from "./TurnEvent.ts"

const calls = new WeakMap<TurnEvent, object>()

/** Notes that an event shows this call, whichever object stands for it. */
export const assign = <E extends TurnEvent>(event: E, call: object): E => {
  calls.set(event, call)
  return event
}

/** The call that an event shows, where that was noted. */
export const of = (event: TurnEvent): object | undefined => calls.get(event)

/** Whether a status ends its call. */
export const isEnded = (status: unknown): boolean => status === "completed" || status === "failed"

const inputOf = ({ args, rawInput }: Partial<ToolCall>): string | undefined => {
  const input = args ?? rawInput
  return input === undefined ? undefined : JSON.stringify(input)
}

/**
 * Whether an event that has the id of a call which has ended shows another call: its status is not an end, or it has another
 * input. This is how calls are told apart where no update of the agent protocol says which one is new.
 */
export const isAnother = (ended: Partial<ToolCall>, event: Partial<ToolCall>): boolean => {
  if (!isEnded(ended.status)) return false
  if (event.status !== undefined && !isEnded(event.status)) return true
  const input = inputOf(event)
  return input !== undefined && input !== inputOf(ended)
}
