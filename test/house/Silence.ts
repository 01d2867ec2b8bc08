/**
 * A check is silenced only where a comment says why, and every file of `src` is one that the checks look at.
 */
import type { SourceFile } from "./SourceFile.ts"

/** What switches a check off: of TypeScript, of oxlint, and of the Effect diagnostics. */
const silencing = /@ts-(nocheck|ignore|expect-error)|(oxlint|eslint)-disable|@effect-diagnostics/

const ofFile = (file: SourceFile): ReadonlyArray<string> => {
  if (!file.path.endsWith(".ts")) return [`${file.path}: src holds .ts files only, which is what the checks look at`]
  return file.comments
    .filter(({ text }) => silencing.test(text) && !/\bboundary: \S/i.test(text))
    .map(({ firstLine }) => `${file.path}:${firstLine}: a check is silenced, which needs "boundary:" and why`)
}

/** Every silence that nothing explains, one sentence each. */
export const violations = (files: ReadonlyArray<SourceFile>): ReadonlyArray<string> => files.flatMap(ofFile)
