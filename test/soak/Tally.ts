/**
 * Reports how often each call was made.
 */

/** The calls that a soak is about; a short soak on a busy machine may have made too few of them. */
const kinds = [
  "answered call 200",
  "answered call after a restart 200",
  "cancel 200",
  "close 200",
  "crash 502",
  "events 200",
  "failure 502",
  "keyed turn repeated 200",
  "list 200",
  "open repeated 200",
  "run 200",
  "stream 200",
  "stream left",
  "turn 200",
  "turn left",
  "turn of chunks 200",
  "turn to be cancelled 200",
  "turn with a file 200",
  "turn with an expired file 404",
  "turn with an older file 200",
  "upload 200",
  "upload left"
]

const minCount = 20

type Counts = ReadonlyMap<string, number>

export const total = (counts: Counts): number => [...counts.values()].reduce((sum, count) => sum + count, 0)

/** The counts, and the kinds of call that were made too rarely. */
export const lines = (counts: Counts): string => {
  const rare = kinds.filter((kind) => (counts.get(kind) ?? 0) < minCount)
  return [
    ...[...counts].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([name, count]) => `  ${name}: ${count}`),
    ...(rare.length === 0 ? [] : [`made fewer than ${minCount} times: ${rare.join(", ")}`])
  ].join("\n")
}
