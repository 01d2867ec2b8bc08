/**
 * A bound on what an agent's output may hold in memory, shared with other agents.
 */
export interface OutputBudget {
  /** Takes as many characters if there is room for them, and says whether there was. */
  readonly take: (characters: number) => boolean
  readonly give: (characters: number) => void
}
