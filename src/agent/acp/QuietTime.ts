/**
 * How long an agent is listened to after its answer, before the turn ends.
 *
 * Some agents send the last of a turn only after the answer to it. Each agent's habit is learned, and outlives its
 * processes; one that sends nothing late is not waited for.
 */
import { Duration } from "effect"

export interface QuietTime {
  /** How long nothing may come after the answer; zero where it is enough to read what is there. */
  readonly after: (turn: { readonly isFirstOfProcess: boolean }) => Duration.Duration
  /** Records that the agent sent something after an answer, or exited with it. */
  readonly recordLate: () => void
}

const afterFirstTurn = Duration.millis(75)
const afterTurnOfLateAgent = Duration.millis(100)

export const make = (): QuietTime => {
  let isLate = false
  return {
    after: ({ isFirstOfProcess }) =>
      isLate ? afterTurnOfLateAgent : isFirstOfProcess ? afterFirstTurn : Duration.zero,
    recordLate: () => {
      isLate = true
    }
  }
}
