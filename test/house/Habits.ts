/**
 * Two habits of the code that a program can hold: files are short, and a function whose whole body is `Effect.gen` is
 * an `Effect.fn`.
 */
import { isNode, type Node, type SourceFile, walk } from "./SourceFile.ts"

const longest = 400

/** What a function gives back when that is all it does. */
const onlyResult = (node: Node): unknown => {
  const body = node["body"]
  if (!isNode(body) || body.type !== "BlockStatement") return body
  const statements = body["body"]
  if (!Array.isArray(statements) || statements.length !== 1 || !isNode(statements[0])) return undefined
  return statements[0].type === "ReturnStatement" ? statements[0]["argument"] : undefined
}

const isMember = (value: unknown, property: string): value is Node =>
  isNode(value) &&
  value.type === "MemberExpression" &&
  isNode(value["property"]) &&
  value["property"]["name"] === property

const isGen = (value: unknown): boolean => {
  if (!isNode(value) || value.type !== "CallExpression") return false
  const callee = value["callee"]
  if (isMember(callee, "pipe")) return isGen(callee["object"])
  return isMember(callee, "gen") && isNode(callee["object"]) && callee["object"]["name"] === "Effect"
}

const functions = new Set(["ArrowFunctionExpression", "FunctionExpression", "FunctionDeclaration"])

const ofFile = (file: SourceFile): ReadonlyArray<string> => {
  const found: Array<string> = []
  if (file.lines > longest) found.push(`${file.path}: has ${file.lines} lines; ${longest} are the most`)
  walk(file.program, (node) => {
    if (!functions.has(node.type) || !isGen(onlyResult(node))) return
    const line = file.lineOf(node.start)
    found.push(`${file.path}:${line}: a function that only returns Effect.gen is Effect.fn or Effect.fnUntraced`)
  })
  return found
}

/** Every break of a habit, one sentence each. */
export const violations = (files: ReadonlyArray<SourceFile>): ReadonlyArray<string> => files.flatMap(ofFile)
