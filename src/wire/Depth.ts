/**
 * How deep a JSON value is nested: the wire has bounds for that, and whatever walks a value has a stack.
 */
import { Predicate } from "effect"

/** Whether a value nests more arrays and objects within each other than that; it looks no further than that. */
export const isDeeper = (value: unknown, levels: number): boolean => {
  if (!Predicate.isObjectOrArray(value)) return false
  if (levels === 0) return true
  for (const inner of Array.isArray(value) ? value : Object.values(value)) {
    if (isDeeper(inner, levels - 1)) return true
  }
  return false
}
