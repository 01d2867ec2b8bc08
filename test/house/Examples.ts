/**
 * The programs in the documentation, as programs: the `ts` fences of the README that carry a title
 * (```` ```ts title="first.ts" ````), and every `ts` fence in the comments of a public module.
 */
import { parse } from "./SourceFile.ts"

export interface Example {
  /** A file name, unlike that of any other example. */
  readonly name: string
  /** Where it stands: file and line. */
  readonly at: string
  readonly text: string
}

interface Fence {
  readonly info: string
  readonly line: number
  readonly text: string
}

const fencesOf = (text: string): ReadonlyArray<Fence> =>
  [...text.matchAll(/^( *)```ts\b(.*)\n([^]*?)^ *```$/gm)].map(
    ({ 1: indent = "", 2: info = "", 3: body = "", index }) => ({
      info: info.trim(),
      line: text.slice(0, index).split("\n").length,
      text: body.replaceAll(new RegExp(`^${indent}`, "gm"), "")
    })
  )

/** The titled programs of a Markdown page. */
export const ofMarkdown = (path: string, text: string): ReadonlyArray<Example> =>
  fencesOf(text).flatMap(({ info, line, text }) => {
    const title = info.match(/^title="([\w-]+\.ts)"$/)?.[1]
    return title === undefined ? [] : [{ name: title, at: `${path}:${line}`, text }]
  })

/** The programs in the comments of a module. */
export const ofModule = (path: string, text: string): ReadonlyArray<Example> =>
  parse(path, text).comments.flatMap((comment) =>
    fencesOf(comment.text.replaceAll(/^ *\* ?/gm, "")).map((fence) => {
      const line = comment.firstLine + fence.line - 1
      return { name: `${path.replaceAll(/\W/g, "-")}-${line}.ts`, at: `${path}:${line}`, text: fence.text }
    })
  )
