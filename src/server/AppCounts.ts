/**
 * Counts per app, for the limits of one app.
 */

export interface AppCounts {
  readonly of: (appId: number) => number
  readonly add: (appId: number) => void
  readonly remove: (appId: number) => void
}

export const make = (): AppCounts => {
  const counts = new Map<number, number>()
  const of = (appId: number) => counts.get(appId) ?? 0
  return {
    of,
    add: (appId) => counts.set(appId, of(appId) + 1),
    remove: (appId) => {
      const left = of(appId) - 1
      if (left > 0) counts.set(appId, left)
      else counts.delete(appId)
    }
  }
}
