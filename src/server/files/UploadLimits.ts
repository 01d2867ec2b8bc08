/**
 * How large uploads may be.
 */
import { ByteSize, Effect } from "effect"
import { StartFailed } from "../StartFailed.ts"

export interface Options {
  /** The largest size of a file; 100 MB if not given, or `maxAppUploads` if that is less. */
  readonly maxUpload?: ByteSize.ByteSize | undefined
  /** The largest size of all files of one app, with 4 KiB added for each; 1 GB if not given. */
  readonly maxAppUploads?: ByteSize.ByteSize | undefined
}

export const limitsOf = ({ maxAppUploads = ByteSize.gigabytes(1), maxUpload }: Options) => ({
  maxAppUploads,
  maxUpload: maxUpload ?? ByteSize.min(ByteSize.megabytes(100), maxAppUploads)
})

const inDecimal = (size: ByteSize.ByteSize) => ByteSize.format(size, { system: "decimal" })

/** Refuses a limit that could never be reached. */
export const checkLimits = (options: Options): Effect.Effect<void, StartFailed> => {
  const { maxAppUploads, maxUpload } = limitsOf(options)
  if (maxUpload <= maxAppUploads) return Effect.void
  return new StartFailed({
    message: `a file may be of ${inDecimal(maxUpload)} (max-upload), and all files of an app together only of ${inDecimal(maxAppUploads)} (max-app-uploads)`
  })
}

/** Added to the size of each file, in bytes: an empty one takes space too. */
export const fileOverhead = 4_096
