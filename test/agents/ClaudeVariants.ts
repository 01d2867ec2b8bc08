/**
 * Claude with other settings, for the checks that only it has.
 */
import type { Place, Setup, Variant } from "./Agent.ts"

/** A URL that refuses connections. */
const unreachable = "http://127.0.0.1:9"

/** A file that the operator's hook creates. */
export const hookMarker = (home: string): string => `${home}/hook-has-run`

/** Settings that an operator may have, and that must not apply to callers of a server. */
const operatorSettings = (home: string) => ({
  permissions: { defaultMode: "acceptEdits", allow: ["Bash(*)", "Write"] },
  hooks: { UserPromptSubmit: [{ hooks: [{ type: "command", command: `touch ${hookMarker(home)}` }] }] }
})

export const files = ({ home }: Place): Setup["files"] => ({
  "operated/settings.json": JSON.stringify(operatorSettings(home))
})

const once = { CLAUDE_CODE_MAX_RETRIES: "1" }

export const variants = ({ home }: Place): Readonly<Record<string, Variant>> => ({
  operated: { permissions: "deny", env: { CLAUDE_CONFIG_DIR: `${home}/operated` } },
  hasty: { env: once },
  offline: { env: { ...once, ANTHROPIC_BASE_URL: unreachable } },
  wrong: { env: { ...once, ANTHROPIC_API_KEY: "another-key" } },
  keyless: { env: { ANTHROPIC_API_KEY: "" } }
})
