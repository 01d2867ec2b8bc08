/**
 * What the documentation says about each operation, parameter and field. The schemas do not hold these texts, since the
 * client shares them and runs in browsers.
 */
import { OpenApi } from "effect/http-api"
import * as Files from "../wire/Files.ts"
import * as SessionFiles from "../wire/SessionFiles.ts"
import * as Sessions from "../wire/Sessions.ts"

const operation = (identifier: string, summary: string, description: string) =>
  OpenApi.annotations({ identifier, summary, description })

const keyed =
  "With an Idempotency-Key it happens once: a repeat with the same body gets the first answer, also while the first is still running."

const streamed =
  "With `Accept: text/event-stream` the answer is a stream of its events as they happen, else it is one JSON object at the end."

/** Each operation, by the name of its endpoint. */
export const operations = {
  health: operation(
    "getHealth",
    "Whether the server is alive, and what it can do",
    "Needs no token, starts no process, and lists what the server adds to the contract in `features`."
  ),
  ready: operation(
    "getReadiness",
    "Whether the server can take work",
    "Needs no token. It answers 503 while the server shuts down, or where its ledger or disk cannot be written."
  ),
  create: operation("openSession", "Open a session", `Starts an agent in a working directory of its own. ${keyed}`),
  list: operation(
    "listSessions",
    "List the sessions of the app",
    "The newest session comes first. `meta.NAME=VALUE` selects the sessions whose `meta` has that string. Without `limit` all are listed."
  ),
  state: operation("getSession", "The state of a session", "A closed session is shown until the server deletes it."),
  close: operation(
    "closeSession",
    "Close a session",
    "A turn in flight is cancelled and answers 410. Closing a closed session succeeds, with `already_closed`."
  ),
  diff: operation(
    "getSessionDiff",
    "What a session has changed",
    "A patch of its clone or copy of a workspace since it was opened, ignored files left out: 16 MiB at most. It is kept when the session closes, for as long as the session is. Of any other session there is none."
  ),
  files: operation(
    "listSessionFiles",
    "The files of a session",
    "What is in its folder, or in a folder below that, as deep as `depth`; of `.git` not what is in it. At most 10,000 entries, in the order of their paths."
  ),
  readFile: operation(
    "readSessionFile",
    "The content of a file",
    "Of a file in the session's folder; no link is followed. `Range` gives a part of it, and `If-Match` fails where it has changed."
  ),
  writeFile: operation(
    "writeSessionFile",
    "Write a file",
    "Into the session's folder, with the folders above it: beside its place, and then moved there. With `If-Match`, or with `If-None-Match: *`, only a file that has not changed is replaced, or none is."
  ),
  events: operation(
    "listSessionEvents",
    "The history of a session",
    "When it was opened, how each turn ended, when it was closed: numbers and names without any text. At most 1,000 events, oldest first."
  ),
  turn: operation(
    "sendTurn",
    "Send a turn",
    `The turns of a session run one at a time, in the order in which they arrive. ${streamed} ${keyed}`
  ),
  cancel: operation(
    "cancelTurn",
    "Cancel the turn in flight",
    "It answers 200 with the stop reason `cancelled` and its events so far; turns that wait are not touched. With the " +
      "Idempotency-Key of a turn it cancels that turn and no other, also where it still waits."
  ),
  agents: operation(
    "listAgents",
    "List the agents of the server",
    "As far as they are known without starting one: what an agent can do is known once it has opened a session."
  ),
  run: operation(
    "runPrompt",
    "Run one prompt without a session",
    `The answer is the agent's final text. ${streamed} ${keyed}`
  ),
  upload: operation(
    "uploadFile",
    "Upload a file for an agent to read",
    "The file belongs to the calling app. Turns and runs take its token in `files`."
  ),
  mint: operation(
    "mintToken",
    "Mint the token of an app",
    "The token is in this answer alone: the server keeps its hash."
  ),
  tokens: operation("listTokens", "List the app tokens", "The tokens themselves are not shown."),
  revoke: operation(
    "revokeToken",
    "Revoke the token of an app",
    "The app's turns end, its sessions are closed, and its files are deleted."
  ),
  metrics: operation("getMetrics", "Metrics for Prometheus", "In its text format. No label has an id.")
} as const

/** Each group of operations. */
export const groups = {
  system: OpenApi.annotations({ description: "The server itself. These need no token." }),
  sessions: OpenApi.annotations({ description: "Conversations with an agent, one turn after the other." }),
  agents: OpenApi.annotations({ description: "The agents that sessions and runs can have." }),
  runs: OpenApi.annotations({ description: "Single prompts." }),
  files: OpenApi.annotations({ description: "Files for agents to read." }),
  admin: OpenApi.annotations({ description: "App tokens and metrics. These need the admin token." })
} as const

/** The contract as a whole. */
export const contract = OpenApi.annotations({
  title: "clawdforge",
  version: "0.2",
  summary: "Coding-agent sessions over HTTP",
  description:
    "Opens sessions with coding agents (Claude, and any agent that speaks the Agent Client Protocol), sends them turns, and " +
    "closes them. Bodies are JSON in UTF-8, times are whole seconds since 1970. Any answer may have more fields than these: " +
    "ignore those that you do not know. Each answer has an `X-Request-Id`, which is the request's own where it has one, and a " +
    "`traceparent` in a request is continued in the traces of the server.",
  license: { name: "MIT", identifier: "MIT" },
  servers: [{ url: "/", description: "This server" }]
})

/** What is said about a parameter or a field, and the part of its JSON Schema that its schema cannot give. */
export interface Description {
  readonly description: string
  readonly [keyword: string]: unknown
}

/**
 * Each parameter. Those of a query are text to the server; here they have the type of what the text is.
 */
export const parameters: Readonly<Record<string, Description>> = {
  id: { description: "The `session_id` of a session of the calling app" },
  name: { description: "The name of the app that the token is for" },
  "idempotency-key": {
    description:
      "Names the call, so that a repeat of it does not act again: 1 to 255 visible ASCII characters, new for each call"
  },
  "last-event-id": {
    description:
      "The number of the last frame that was read, to read on after a break: with `Accept: text/event-stream`, the Idempotency-Key and the body of the call",
    type: "integer",
    minimum: 0
  },
  include_closed: { description: "Whether closed sessions are listed too", type: "boolean", default: true },
  limit: { description: "The most sessions of one page", type: "integer", minimum: 1, maximum: Sessions.maxPage },
  cursor: { description: "The `next_cursor` of the page before" },
  path: { description: "Where, relative to the session's folder, with `/` between the names" },
  depth: { description: "How many levels of folders", type: "integer", ...SessionFiles.depth },
  range: { description: "`bytes=FROM-TO`, `bytes=FROM-` or `bytes=-LAST`: the part of the file that is wanted" },
  "if-match": { description: "The tag that the file must have, in quotation marks" },
  "if-none-match": { description: "`*`: the file must not be there" },
  after: { description: "Only events with a greater `seq`", type: "integer", minimum: 0, default: 0 },
  usage: { description: "Whether the answer has the tokens and the cost", type: "boolean", default: false },
  ttl_secs: {
    description: "How long the server keeps the file, in seconds, unless the form says it",
    type: "integer",
    ...Files.ttl
  }
}

const at = (what: string, otherwise = ""): Description => ({
  description: `${what}, in seconds since 1970${otherwise}`
})

/** Each field, by its name, or by that of its schema and its own where the name alone is not enough. */
export const fields: Readonly<Record<string, Description>> = {
  // The server
  "Health.ok": { description: "Whether the server is well" },
  acpx_present: { description: "Whether sessions can be opened" },
  acpx_version: { description: "The version of what opens sessions" },
  claude_present: { description: "Whether the agent `claude` is installed" },
  claude_version: { description: "Its version, where the server knows it" },
  features: { description: "The names of what the server adds to the contract" },
  next_cursor: { description: "The `cursor` of the next page, null after the last one; only with `limit`" },
  open_sessions: { description: "How many sessions are open", minimum: 0 },

  // Sessions
  agent: { description: "The name of the agent, in the server's table" },
  workspace: {
    description:
      "The folder to work in, a clone or a copy of, of those that the operator names; an empty one if not given"
  },
  mode: {
    description:
      "`clone`, by default for a git repository; `copy`, by default for any other folder; `shared`, the folder itself, where the operator allows it"
  },
  ref: { description: "Of a clone, the branch, tag or commit; what the repository has checked out if not given" },
  mcp_servers: { description: "MCP servers over HTTP for the agent to call, of hosts that the operator allows" },
  "McpServer.name": { description: "By which the agent names its tools" },
  url: { description: "An `http:` or `https:` URL" },
  headers: { description: "Sent with each request to it; kept sealed while the session is open" },
  "SessionRequest.agent": {
    description: "The name of the agent, in the server's table; the default one of the server if not given"
  },
  "RunRequest.agent": {
    description: "The name of the agent, in the server's table; the default one of the server if not given"
  },
  app_name: { description: "The app that the session belongs to" },
  already_closed: { description: "Present where the session was closed before" },
  cancelled: { description: "Whether a turn was cancelled" },
  closed_at: at("When it was closed", "; null while it is open"),
  count: { description: "How many there are in this answer", minimum: 0 },
  created_at: at("When it was created"),
  cwd: { description: "The working directory of the agent, on the server's machine" },
  last_turn_at: at("When its last turn ended", "; null before"),
  live: { description: "Whether it is open and can take a turn" },
  meta: { description: "Any JSON object, kept with the session: at most 16 KiB, and 16 levels deep" },
  model: { description: "The name of the model, as the agent knows it; null where the agent chose" },
  session_id: { description: "The id of the session" },
  sessions: { description: "The sessions, newest first" },
  turn_count: {
    description: "How many turns were handed to the agent, failed and cancelled ones included",
    minimum: 0
  },
  "SessionDiff.diff": { description: "A patch for `git apply`; empty where nothing has changed" },
  "SessionEvents.events": { description: "What happened, oldest first" },
  at: at("When it happened"),
  seq: { description: "Its number, which grows with each event", minimum: 0 },
  "events.kind": { description: "What happened: `create`, `turn`, `close`, `sweep_close` or `hard_delete`" },
  "events.detail": { description: "Numbers and names" },

  // Agents
  agents: { description: "The agents in the server's table" },
  "Agent.name": { description: "The name of the agent, for `agent` of a session or a run" },
  default: { description: "Whether a session or a run gets this agent where it names none" },
  ready: { description: "Whether the agent's program is installed" },
  reason: { description: "Why the agent is not ready" },
  "Agent.features": {
    description: "What the agent can do, by name: `images`, `mcp`, `load` and others; empty where unknown"
  },
  models: { description: "The models of the agent, where known" },
  modes: { description: "The modes of the agent, where known" },
  "AgentChoice.id": { description: "As the agent knows it; that of a model is for `model` of a session or a run" },
  "AgentChoice.name": { description: "For people to read" },

  // What a session, a turn or a run is asked for
  "SessionRequest.model": { description: "One of the agent's models; the agent's own choice if not given" },
  "RunRequest.model": { description: "One of the agent's models; the agent's own choice if not given" },
  effort: { description: "How hard the model thinks; the agent's own choice if not given" },
  files: { description: "The tokens of uploaded files that the agent is to read" },
  linger_secs: {
    description:
      "With an Idempotency-Key: how long the call goes on when no connection waits for it any more, in seconds; 30 if not given"
  },
  prompt: { description: "What the agent is to do: not empty, and not only white space", minLength: 1 },
  system: { description: "A system prompt for the agent" },
  system_mode: {
    description: "Whether the system prompt is appended to the agent's own, or replaces it; `append` if not given"
  },
  "RunRequest.timeout_secs": {
    description:
      "How long it may take, in seconds: 120 if not given. The longest is a setting of the server, 600 unless it says otherwise; more is a 422",
    minimum: 5
  },
  "TurnRequest.timeout_secs": {
    description:
      "How long it may take once it runs, in seconds: 120 if not given. Less than 5 becomes 5, and more than the server's longest, 600 unless it says otherwise, becomes that"
  },

  // Turns and runs
  duration_ms: { description: "How long it took, in milliseconds", minimum: 0 },
  result: {
    description: "The final text of the agent without a code fence around it: as JSON where it is JSON, else a string"
  },
  stop_reason: {
    description: "Why it ended: `end_turn`, `max_tokens`, `refusal`, `cancelled`, `timeout`, or another reason"
  },
  turn_index: { description: "The number of the turn in its session, from 1", minimum: 1 },
  "Turn.events": { description: "What happened, in order" },
  usage: { description: "What its turns used together, as far as the agent reports it" },
  "Turn.usage": { description: "What it used, as far as the agent reports it" },
  "Run.usage": { description: "What it used, where that was asked for" },
  cached_tokens: { description: "The tokens read that came from a cache", minimum: 0 },
  cost_usd: { description: "The cost in US dollars", minimum: 0 },
  input_tokens: { description: "The tokens that the model read", minimum: 0 },
  output_tokens: { description: "The tokens that the model wrote", minimum: 0 },
  total_tokens: { description: "All tokens together", minimum: 0 },

  // Events of a turn
  type: { description: "What kind of event it is" },
  content: { description: "The text" },
  "OtherEvent.name": { description: "A name" },
  message_id: { description: "The message that it belongs to, where the agent says so" },
  role: { description: "Who it is from: what the agent says, what it thinks, or the user" },
  block: { description: "An image, a resource and so on, as the agent protocol has it" },
  "ToolCallEvent.name": { description: "The name of the tool where it is known, else what the agent calls the call" },
  id: { description: "Tells the calls of one turn apart" },
  title: { description: "What it is, for people to read" },
  kind: { description: "`read`, `edit`, `execute`, …" },
  status: { description: "`pending`, `in_progress`, `completed`, or `failed` for a call" },
  args: { description: "The input of the tool, where it is an object" },
  raw_input: { description: "The input of the tool, where it is no object" },
  "ToolCallEvent.result": { description: "What the tool gave" },
  blocks: { description: "What the tool shows next to its result" },
  locations: { description: "The files that it is about" },
  entries: { description: "The steps of the plan, in order" },
  priority: { description: "`high`, `medium` or `low`" },
  used: { description: "The tokens in the context window" },
  "UsageEvent.size": { description: "The tokens that the context window has room for" },
  cost: { description: "What the session has cost so far" },
  amount: { description: "An amount of money" },
  currency: { description: "Its code, `USD` for one" },
  mode_id: { description: "The mode that the agent is in now" },
  "ConfigEvent.options": { description: "All options of the agent as they stand now" },
  commands: { description: "All commands that the agent offers now" },
  updated_at: { description: "When the agent last worked on the session, as the agent wrote it" },
  update: { description: "As the agent protocol has it" },
  tool_call_id: { description: "The `id` of the tool call that needed permission" },
  "LateEvent.turn_index": { description: "The index of the turn that it belongs to, which was over" },
  "LateEvent.event": { description: "What it would have been in that turn" },
  "PermissionEvent.options": { description: "The answers that the agent offered" },
  decision: { description: "The answer that it got" },
  raw: { description: "The event as it came" },

  // Files
  "SessionFiles.entries": { description: "What is in the folder, a folder before what is in it" },
  truncated: { description: "Whether there are more than these" },
  unlisted: { description: "How many have a name that is not UTF-8", minimum: 0 },
  path: { description: "Relative to the session's folder" },
  "entries.kind": { description: "`file`, `dir`, `link`, or `other` for what is none of them" },
  modified_at: at("When it was changed last"),
  etag: { description: "The tag of the file: another one whenever its content may be another" },
  file: { description: "The file, with its name" },
  file_token: {
    description: "Names the file in `files`. Keep it secret: with it, any request of the app can attach the file"
  },
  size: { description: "In bytes", minimum: 0 },
  "UploadForm.ttl_secs": {
    description: `How long the server keeps the file, in seconds: ${Files.ttl.default} if not given`
  },
  "UploadedFile.ttl_secs": { description: "How long the server keeps it, in seconds", minimum: Files.ttl.minimum },

  // App tokens
  name: { description: "The name of the app" },
  ip_cidrs: {
    description: "The networks that the token is good from; null where it is good from any that the server admits"
  },
  "TokenMinted.token": { description: "The token, cf_…, shown this once" },
  tokens: { description: "The tokens that are good now" },

  // Failures
  ok: { description: "Whether it succeeded" },
  detail: { description: "Why, in one sentence" },
  "Invalid.detail": { description: "Everything that is wrong with the request" },
  loc: { description: "Where: `body`, `query`, `header` or `path`, then the way to the field" },
  msg: { description: "What is wrong. The rejected value is not repeated" },
  "detail.type": { description: "`missing` or `value_error`" },
  error: { description: "Why the agent failed" },
  stderr: { description: "The end of what the agent wrote to its standard error" }
}
