/**
 * Runs one turn in a separate process: `node test/bench/OneTurn.ts FOLDER PROMPT`. The baseline of TurnCost.ts.
 */
import * as BareSession from "./BareSession.ts"

const [cwd = ".", prompt = "/echo hello"] = process.argv.slice(2)
const session = await BareSession.open(cwd, () => {})
await session.turn(prompt)
await session.close()
