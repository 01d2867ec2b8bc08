/**
 * The nesting depth of a JSON value: the contract bounds it, and a function that walks a value has a stack.
 */
import { Predicate } from "effect"

/** Whether arrays and objects are nested deeper than `levels`. It looks no deeper than that. */
export const isDeeper = (value: unknown, levels: number): boolean => {
  if (!Predicate.isObjectOrArray(value)) return false
  if (levels === 0) return true
  for (const inner of Array.isArray(value) ? value : Object.values(value)) {
    if (isDeeper(inner, levels - 1)) return true
  }
  return false
}
