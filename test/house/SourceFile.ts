/**
 * The files of `src` as the house rules see them: text, syntax tree, comments, and what each one imports.
 */
import * as Fs from "node:fs"
import * as Path from "node:path"
import { parseSync } from "rolldown/utils"

/** A node of the syntax tree, as far as the rules need it. */
export interface Node {
  readonly type: string
  readonly start: number
  readonly end: number
  readonly [field: string]: unknown
}

/** A comment, or a run of line comments with nothing between them. */
export interface Comment {
  readonly text: string
  readonly firstLine: number
  readonly lastLine: number
}

/** A module that is named in an import, a re-export, an `import()` or an `import("…")` type. */
export interface Import {
  /** `undefined` where the name is not a plain string. */
  readonly specifier: string | undefined
  readonly line: number
}

export interface SourceFile {
  /** From the project's root, with forward slashes. */
  readonly path: string
  readonly lines: number
  readonly program: Node
  readonly comments: ReadonlyArray<Comment>
  readonly imports: ReadonlyArray<Import>
  readonly lineOf: (offset: number) => number
}

export const isNode = (value: unknown): value is Node =>
  typeof value === "object" && value !== null && "type" in value && typeof value.type === "string" && "start" in value

/** Visits a node and all below it, each with the nodes that stand around it, innermost last. */
export const walk = (
  node: Node,
  visit: (node: Node, around: ReadonlyArray<Node>) => void,
  around: ReadonlyArray<Node> = []
): void => {
  visit(node, around)
  const inside = [...around, node]
  for (const field of Object.values(node)) {
    for (const child of Array.isArray(field) ? field : [field]) {
      if (isNode(child)) walk(child, visit, inside)
    }
  }
}

const moduleNames = new Set([
  "ImportDeclaration",
  "ExportNamedDeclaration",
  "ExportAllDeclaration",
  "ImportExpression",
  "TSImportType",
  "TSExternalModuleReference"
])

const importsOf = (program: Node, lineOf: SourceFile["lineOf"]): ReadonlyArray<Import> => {
  const imports: Array<Import> = []
  walk(program, (node) => {
    if (!moduleNames.has(node.type)) return
    const name = node["source"] ?? node["expression"]
    if (name === null || name === undefined) return
    const specifier = isNode(name) && typeof name["value"] === "string" ? name["value"] : undefined
    imports.push({ specifier, line: lineOf(node.start) })
  })
  return imports
}

const lineCounter = (text: string): SourceFile["lineOf"] => {
  const ends = [...text.matchAll(/\n/g)].map((match) => match.index)
  return (offset) => ends.filter((end) => end < offset).length + 1
}

const commentsOf = (
  text: string,
  raw: ReadonlyArray<{ readonly type: string; readonly value: string; readonly start: number; readonly end: number }>,
  lineOf: SourceFile["lineOf"]
): ReadonlyArray<Comment> => {
  const comments: Array<Comment & { readonly end: number; readonly type: string }> = []
  for (const { end, start, type, value } of raw) {
    const before = comments.at(-1)
    const joins = before?.type === "Line" && type === "Line" && text.slice(before.end, start).trim() === ""
    const one = { type, end, text: value, firstLine: lineOf(start), lastLine: lineOf(end) }
    if (joins) comments[comments.length - 1] = { ...one, firstLine: before.firstLine, text: before.text + value }
    else comments.push(one)
  }
  return comments
}

export const parse = (path: string, text: string): SourceFile => {
  const { comments, errors, program } = parseSync(path, text)
  if (errors[0] !== undefined) throw new Error(`${path}: ${errors[0].message}`)
  if (!isNode(program)) throw new Error(`${path}: no syntax tree`)
  const lineOf = lineCounter(text)
  return {
    path,
    lines: text.trimEnd().split("\n").length,
    program,
    comments: commentsOf(text, comments, lineOf),
    imports: importsOf(program, lineOf),
    lineOf
  }
}

/** Every program text below a folder of the project, whatever its ending. */
export const readAll = (root: string, folder = "src"): ReadonlyArray<SourceFile> =>
  Fs.readdirSync(Path.join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => /\.[cm]?[jt]sx?$/.test(name))
    .sort()
    .map((name) => {
      const path = `${folder}/${name.replaceAll(Path.sep, "/")}`
      return parse(path, Fs.readFileSync(Path.join(root, path), "utf8"))
    })
