/**
 * The timeouts of turns and runs.
 */
import { Context, Duration, Layer } from "effect"

export interface Options {
  /** The longest that a client may ask for; 10 minutes if not given. */
  readonly maxTimeout?: Duration.Duration | undefined
}

/** The timeout of a request that has none. */
export const byDefault = Duration.seconds(120)

export const minimum = Duration.seconds(5)

/** The longest that a client may ask for. */
export const Maximum = Context.Reference<Duration.Duration>("effect-clawdforge/server/Timeouts/Maximum", {
  defaultValue: () => Duration.minutes(10)
})

export const layer = ({ maxTimeout }: Options) =>
  maxTimeout === undefined ? Layer.empty : Layer.succeed(Maximum, maxTimeout)
