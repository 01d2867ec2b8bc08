/**
 * Which tests are slow. A test file that starts programs or bundles code, itself or through its helpers, is named
 * `*.slow.test.ts`; so may be one that crashes servers or waits for a real timeout.
 */
import * as Path from "node:path/posix"
import type { SourceFile } from "./SourceFile.ts"

const starters = /^(node:child_process|effect\/process|rolldown)$/

const isTest = (path: string) => path.endsWith(".test.ts")

export const isSlow = (path: string) => path.endsWith(".slow.test.ts")

/** The chain of imports by which a file reaches a module that starts programs, if it does. */
const chainToStarter = (
  file: SourceFile,
  byPath: ReadonlyMap<string, SourceFile>,
  seen: Set<string>
): ReadonlyArray<string> | undefined => {
  seen.add(file.path)
  for (const { specifier = "" } of file.imports) {
    if (starters.test(specifier)) return [file.path, specifier]
    const next = byPath.get(Path.join(Path.dirname(file.path), specifier))
    const chain = next === undefined || seen.has(next.path) ? undefined : chainToStarter(next, byPath, seen)
    if (chain !== undefined) return [file.path, ...chain]
  }
  return undefined
}

/** Each test file that has to be named a slow one and is not. */
export const violations = (files: ReadonlyArray<SourceFile>): ReadonlyArray<string> => {
  const byPath = new Map(files.map((file) => [file.path, file]))
  return files
    .filter(({ path }) => isTest(path) && !isSlow(path))
    .flatMap((file) => {
      const chain = chainToStarter(file, byPath, new Set())
      return chain === undefined ? [] : [`${chain.join(" → ")}: it starts programs; name it *.slow.test.ts`]
    })
}
