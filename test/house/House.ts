/**
 * Holds the rules of the house over `src`: `node test/house/House.ts`.
 */
import * as Arrows from "./Arrows.ts"
import * as Boundaries from "./Boundaries.ts"
import * as Habits from "./Habits.ts"
import * as Silence from "./Silence.ts"
import { readAll } from "./SourceFile.ts"

const files = readAll(process.cwd())
const found = [Arrows, Boundaries, Habits, Silence].flatMap((rules) => rules.violations(files))

for (const sentence of found) console.log(sentence)
console.log(`${files.length} files, ${found.length} against the rules of the house`)
process.exitCode = found.length === 0 && files.length > 0 ? 0 : 1
