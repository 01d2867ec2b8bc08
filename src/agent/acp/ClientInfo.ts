/**
 * How this package introduces itself: to agents, and on the command line.
 */

/** Its name and its version; a test holds them to package.json. */
export const clientInfo = { name: "effect-clawdforge", version: "0.1.0" } as const
