/**
 * The package's name and version, as sent to agents and printed by the command line.
 */

/** A test checks that it matches package.json. */
export const clientInfo = { name: "effect-clawdforge", version: "0.1.0" } as const
