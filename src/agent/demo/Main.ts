/**
 * The demo agent: a real agent of the Agent Client Protocol that needs no network and no key. It remembers the turns of
 * its session, streams, thinks, plans, sees images, reads attached files with a tool, can be cancelled, and can load a session.
 *
 * A prompt that tells it to take its time takes it five seconds. Some prompts are commands, for tests and demonstrations:
 *
 * - `/echo TEXT` answers with exactly that text
 * - `/chunks COUNT [MILLIS]` answers with the numbers up to COUNT, one per chunk, with a pause in between
 * - `/json VALUE` answers with the rest of the line, `/json-fenced VALUE` with a code fence around it
 * - `/json-wrong` answers with no JSON, `/json-repaired VALUE` with VALUE only to the prompt after it
 * - `/sleep SECONDS` answers after that time
 * - `/wait` does not finish until it is cancelled
 * - `/silent` ends the turn without an answer
 * - `/refuse` ends it with the stop reason `refusal`, `/overflow` with `max_tokens`
 * - `/tool COMMAND` asks for permission to run a command, which it only pretends to do
 * - `/write NAME TEXT` writes a file in its working directory, if it is permitted
 * - `/fail TEXT` fails the turn with that message
 * - `/exit CODE` ends the process in the middle of the turn, `/crash` by a signal
 * - `/mcp` answers with its MCP servers, and how long the values of their headers are
 * - `/system` answers with the system prompt
 * - `/settings` answers with the model and the effort
 *
 * boundary: bare Node (see JsonRpc.ts).
 */
import { type Client, isRecord, type Params, RpcError, serve, stringField } from "./JsonRpc.ts"
import { configOptions, create, type Given, load, type Memory, setOption } from "./Memory.ts"
import { run } from "./Turn.ts"

const sessions = new Map<string, Memory>()

const sessionOf = (params: Params): Memory => {
  const sessionId = stringField(params, "sessionId")
  const memory = sessions.get(sessionId)
  if (memory === undefined) throw new RpcError(-32002, `Session not found: ${sessionId}`)
  return memory
}

const ownSystem = "You are the demo agent."

/** As in Claude's adapter: a string replaces the agent's own prompt, `{ append }` adds to it. */
const systemOf = ({ _meta: meta }: Params): string => {
  const system = isRecord(meta) ? meta["systemPrompt"] : undefined
  if (typeof system === "string") return system
  return isRecord(system) ? `${ownSystem}\n\n${stringField(system, "append")}` : ownSystem
}

const givenBy = (params: Params): Given => ({
  cwd: stringField(params, "cwd"),
  servers: Array.isArray(params["mcpServers"]) ? params["mcpServers"] : [],
  system: systemOf(params)
})

const restore = (params: Params): Memory => {
  const memory = load(stringField(params, "sessionId"), givenBy(params))
  sessions.set(memory.sessionId, memory)
  return memory
}

/** The protocol requires the history to be sent before the response to a load. */
const replay = ({ sessionId, turns }: Memory, client: Client): void => {
  const chunk = (sessionUpdate: string, text: string): void =>
    client.notify("session/update", { sessionId, update: { sessionUpdate, content: { type: "text", text } } })
  for (const turn of turns) {
    chunk("user_message_chunk", turn.prompt)
    chunk("agent_message_chunk", turn.answer)
  }
}

serve({
  initialize: () => ({
    protocolVersion: 1,
    agentInfo: { name: "demo-agent", title: "Demo agent", version: "1.0.0" },
    agentCapabilities: {
      loadSession: true,
      promptCapabilities: { image: true },
      mcpCapabilities: { http: true },
      sessionCapabilities: { resume: {} }
    },
    authMethods: []
  }),
  "session/new": (params) => {
    const memory = create(givenBy(params))
    sessions.set(memory.sessionId, memory)
    return { sessionId: memory.sessionId, configOptions: configOptions(memory) }
  },
  "session/load": (params, client) => {
    const memory = restore(params)
    replay(memory, client)
    return { configOptions: configOptions(memory) }
  },
  "session/resume": (params) => ({ configOptions: configOptions(restore(params)) }),
  "session/set_config_option": (params) => {
    const memory = sessionOf(params)
    setOption(memory, stringField(params, "configId"), stringField(params, "value"))
    return { configOptions: configOptions(memory) }
  },
  "session/prompt": (params, client) => {
    const memory = sessionOf(params)
    if (memory.cancel !== undefined) throw new RpcError(-32600, "A turn is running in this session")
    return run(memory, client, Array.isArray(params["prompt"]) ? params["prompt"] : [])
  },
  "session/cancel": (params) => sessionOf(params).cancel?.()
})
