/**
 * A turn as a process of its own: `node test/bench/OneTurn.ts FOLDER PROMPT`. What TurnCost.ts compares a server with.
 */
import * as BareSession from "./BareSession.ts"

const [cwd = ".", prompt = "/echo hello"] = process.argv.slice(2)
const session = await BareSession.open(cwd, () => {})
await session.turn(prompt)
await session.close()
