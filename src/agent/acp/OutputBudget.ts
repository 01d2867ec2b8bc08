/**
 * A bound on the agent output held in memory, shared by all agents.
 */
export interface OutputBudget {
  /** Reserves this many characters if they fit, and returns whether they did. */
  readonly take: (characters: number) => boolean
  /** Releases reserved characters. */
  readonly give: (characters: number) => void
}
