/**
 * What stands in `src` only at a foreign boundary: promises, exceptions, the clock and the timers of the platform,
 * and whatever silences the type checker.
 *
 * Where one of them is needed, a comment with `boundary:` says why. It covers the line it is on, or the statement,
 * member or expression that begins on the next line, with all that is inside. In the first comment of a file it covers
 * the whole file, for the programs that run without Effect.
 */
import { type Comment, isNode, type Node, type SourceFile, walk } from "./SourceFile.ts"

const isNamed = (value: unknown, name?: string) =>
  isNode(value) && value.type === "Identifier" && (name === undefined || value["name"] === name)

const nameOf = (value: unknown) => (isNode(value) && isNamed(value) ? String(value["name"]) : "")

const globalFunctions = new Set(["setTimeout", "setInterval", "setImmediate", "queueMicrotask", "fetch"])
const globalMembers = new Set(["Date.now", "Math.random", "crypto.randomUUID"])
const globalClasses = new Set(["Date", "Promise"])

const isConst = (type: unknown) => isNode(type) && type.type === "TSTypeReference" && isNamed(type["typeName"], "const")

/** The name of what is only for boundaries, if the node is such a thing. */
const foreign = (node: Node): string | undefined => {
  if (node["async"] === true) return "async"
  switch (node.type) {
    case "AwaitExpression":
      return "await"
    case "ForOfStatement":
      return node["await"] === true ? "for await" : undefined
    case "TryStatement":
      return "try"
    case "ThrowStatement":
      return "throw"
    case "TSAnyKeyword":
      return "any"
    case "TSAsExpression":
      return isConst(node["typeAnnotation"]) ? undefined : "a type assertion"
    case "TSTypeAssertion":
      return "a type assertion"
    case "TSNonNullExpression":
      return "a non-null assertion"
    case "CallExpression":
      return globalFunctions.has(nameOf(node["callee"])) ? nameOf(node["callee"]) : undefined
    case "NewExpression":
      return globalClasses.has(nameOf(node["callee"])) ? `new ${nameOf(node["callee"])}` : undefined
    case "MemberExpression": {
      if (isNamed(node["object"], "console")) return "console"
      const member = `${nameOf(node["object"])}.${nameOf(node["property"])}`
      return globalMembers.has(member) ? member : undefined
    }
    default:
      return undefined
  }
}

const saysWhy = (comment: Comment | undefined) => comment !== undefined && /\bboundary: \S/i.test(comment.text)

const ofFile = (file: SourceFile): ReadonlyArray<string> => {
  const reasons = file.comments.filter(saysWhy)
  if (saysWhy(file.comments[0]) && file.comments[0]?.firstLine === 1) return []
  const found: Array<string> = []
  walk(file.program, (node, around) => {
    const name = foreign(node)
    if (name === undefined) return
    const line = file.lineOf(node.start)
    const begins = [...around.slice(1), node].map(({ start }) => file.lineOf(start))
    const covered = reasons.some(
      ({ firstLine, lastLine }) => begins.includes(lastLine + 1) || (firstLine <= line && line <= lastLine)
    )
    if (!covered) found.push(`${file.path}:${line}: ${name} needs a comment with "boundary:" that says why`)
  })
  return found
}

/** Everything foreign that no comment explains, one sentence each. */
export const violations = (files: ReadonlyArray<SourceFile>): ReadonlyArray<string> => files.flatMap(ofFile)
