/**
 * Reads JSON that may be none.
 */
import { Option } from "effect"

export const parse = Option.liftThrowable((text: string): unknown => JSON.parse(text))
