/**
 * The agents that are tried, each with its version, its settings and its tools.
 */
import type { Agent } from "./Agent.ts"
import * as ClaudeVariants from "./ClaudeVariants.ts"
import { toolUse } from "./dialects/Dialect.ts"

const claude: Agent = {
  name: "claude",
  package: "@agentclientprotocol/claude-agent-acp",
  version: "0.101.0",
  command: ["claude-agent-acp"],
  setup: (place) => ({
    env: {
      CLAUDE_CONFIG_DIR: `${place.home}/config`,
      ANTHROPIC_BASE_URL: place.url,
      ANTHROPIC_API_KEY: place.key,
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1"
    },
    files: ClaudeVariants.files(place)
  }),
  variants: ClaudeVariants.variants,
  write: (file, content) => toolUse("Write", { file_path: file, content }),
  read: (file) => toolUse("Read", { file_path: file }),
  asides: { marks: /SUGGESTION MODE/ },
  model: { choice: "haiku", arrives: "haiku" }
}

const opencode: Agent = {
  name: "opencode",
  package: "opencode-ai",
  version: "1.18.33",
  runsScripts: true,
  command: ["opencode", "acp"],
  setup: ({ key, url }) => ({
    env: { OPENCODE_DISABLE_AUTOUPDATE: "1", OPENCODE_DISABLE_MODELS_FETCH: "1", OPENCODE_DISABLE_LSP_DOWNLOAD: "1" },
    files: {
      ".config/opencode/opencode.json": JSON.stringify({
        autoupdate: false,
        share: "disabled",
        model: "stand-in/first",
        small_model: "stand-in/first",
        permission: { edit: "ask", bash: "ask" },
        provider: {
          "stand-in": {
            npm: "@ai-sdk/openai-compatible",
            name: "Stand-in",
            options: { baseURL: `${url}/v1`, apiKey: key },
            models: { first: { name: "First", tool_call: true }, second: { name: "Second", tool_call: true } }
          }
        }
      })
    }
  }),
  write: (file, content) => toolUse("write", { filePath: file, content }),
  read: (file) => toolUse("read", { filePath: file }),
  model: { choice: "stand-in/second", arrives: "second" }
}

const codex: Agent = {
  name: "codex",
  package: "@agentclientprotocol/codex-acp",
  version: "2.6.0",
  command: ["codex-acp"],
  setup: ({ key, url }) => ({
    // In its other modes it writes in the session's folder without asking.
    env: { OPENAI_API_KEY: key, NO_BROWSER: "1", INITIAL_AGENT_MODE: "read-only" },
    files: {
      ".codex/config.toml": [
        'model = "gpt-5.5"',
        'model_provider = "stand-in"',
        "check_for_update_on_startup = false",
        "[analytics]",
        "enabled = false",
        "[model_providers.stand-in]",
        'name = "Stand-in"',
        `base_url = "${url}/v1"`,
        'env_key = "OPENAI_API_KEY"',
        'wire_api = "responses"'
      ].join("\n")
    }
  }),
  write: (file, content) =>
    toolUse("exec_command", {
      cmd: `printf '%s' '${content}' > ${file}`,
      sandbox_permissions: "require_escalated",
      justification: "May I write the file?"
    }),
  read: (file) => toolUse("exec_command", { cmd: `cat ${file}` }),
  asides: { marks: /generate a very short title/, answer: '{"title":"A title"}' },
  model: { choice: "gpt-5.6-sol", arrives: "gpt-5.6-sol" }
}

const gemini: Agent = {
  name: "gemini",
  package: "@google/gemini-cli",
  version: "0.61.0",
  command: ["gemini", "--acp"],
  setup: ({ key, url }) => ({
    env: { GEMINI_API_KEY: key, GOOGLE_GEMINI_BASE_URL: url },
    files: {
      ".gemini/settings.json": JSON.stringify({
        general: { enableAutoUpdate: false, enableAutoUpdateNotification: false },
        privacy: { usageStatisticsEnabled: false },
        telemetry: { enabled: false },
        security: { auth: { selectedType: "gemini-api-key" } }
      })
    }
  }),
  write: (file, content) => toolUse("write_file", { file_path: file, content }),
  read: (file) => toolUse("read_file", { file_path: file }),
  // It asks a smaller model how hard each prompt is, to choose the model for it.
  asides: { answer: JSON.stringify({ complexity_reasoning: "It is easy.", complexity_score: 1 }) },
  model: { choice: "gemini-2.5-pro", arrives: "gemini-2.5-pro" },
  restoresNextMinute: true
}

const qwen: Agent = {
  name: "qwen",
  package: "@qwen-code/qwen-code",
  version: "0.24.4",
  command: ["qwen", "--acp"],
  setup: ({ key, url }) => ({
    env: { OPENAI_API_KEY: key, OPENAI_BASE_URL: `${url}/v1`, OPENAI_MODEL: "first" },
    files: {
      ".qwen/settings.json": JSON.stringify({
        general: { enableAutoUpdate: false },
        privacy: { usageStatisticsEnabled: false },
        telemetry: { enabled: false },
        // Without this a smaller model decides whether to ask.
        tools: { approvalMode: "default" },
        modelProviders: {
          openai: ["first", "second"].map((id) => ({ id, name: id, baseUrl: `${url}/v1`, envKey: "OPENAI_API_KEY" }))
        },
        // Each would have asked the model more, besides the conversation.
        memory: { enableManagedAutoMemory: false, enableManagedAutoDream: false },
        ui: { enableFollowupSuggestions: false },
        security: { auth: { selectedType: "openai" } }
      })
    }
  }),
  write: (file, content) => toolUse("write_file", { file_path: file, content }),
  read: (file) => toolUse("read_file", { file_path: file, absolute_path: file }),
  model: { choice: "second", arrives: "second" }
}

const copilot: Agent = {
  name: "copilot",
  package: "@github/copilot",
  version: "1.0.102",
  command: ["copilot", "--acp", "--stdio", "--no-auto-update", "--disable-builtin-mcps"],
  setup: ({ key, url }) => ({
    env: {
      COPILOT_OFFLINE: "true",
      COPILOT_PROVIDER_BASE_URL: `${url}/v1`,
      COPILOT_PROVIDER_API_KEY: key,
      COPILOT_MODEL: "first"
    }
  }),
  write: (file, content) => toolUse("create", { path: file, file_text: content }),
  read: (file) => toolUse("view", { path: file }),
  cannot: { model: "it offers no choice of model with a provider of its own" }
}

export const agents: ReadonlyArray<Agent> = [claude, opencode, codex, gemini, qwen, copilot]
