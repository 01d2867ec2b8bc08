/**
 * Which versions of Node the command runs on. It is read by old versions too, so it imports nothing.
 */

/** A test checks that it matches package.json. */
export const minimum = "22.19"

/** What is wrong with a version of Node, if it is too old. */
export const problemOf = (version: string): string | undefined => {
  const [major = 0, minor = 0] = version.split(".").map(Number)
  const [minMajor = 0, minMinor = 0] = minimum.split(".").map(Number)
  const isEnough = major > minMajor || (major === minMajor && minor >= minMinor)
  return isEnough ? undefined : `Node ${minimum} or newer is needed, and this is Node ${version}`
}
