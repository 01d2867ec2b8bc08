/**
 * What a test file is named. One that starts programs or bundles code, itself or through its helpers, is
 * `*.slow.test.ts`; so may be one that crashes servers or waits for a real timeout. A test of the client has the name of
 * the module that it tests, with a topic where there are several: `Session.close.test.ts` tests `src/Session.ts`.
 */
import * as Path from "node:path/posix"
import type { SourceFile } from "./SourceFile.ts"

const starters = /^(node:child_process|effect\/process|playwright-core|rolldown)$/

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

/** Each test file of the client that is named after no module. */
export const unnamed = (tests: ReadonlyArray<string>, modules: ReadonlySet<string>): ReadonlyArray<string> =>
  tests.flatMap((path) => {
    const [, module] = /^test\/((?:(?:internal|node)\/(?:[^/]+\/)*)?[^/.]+)(?:\.[a-z-]+)*\.test\.ts$/.exec(path) ?? []
    return module === undefined || modules.has(`src/${module}.ts`) ? [] : [`${path}: there is no src/${module}.ts`]
  })

/** Each test file that starts programs and is not named a slow one. */
export const unmarked = (files: ReadonlyArray<SourceFile>): ReadonlyArray<string> => {
  const byPath = new Map(files.map((file) => [file.path, file]))
  return files
    .filter(({ path }) => isTest(path) && !isSlow(path))
    .flatMap((file) => {
      const chain = chainToStarter(file, byPath, new Set())
      return chain === undefined ? [] : [`${chain.join(" → ")}: it starts programs; name it *.slow.test.ts`]
    })
}
