/**
 * Which room may import which. The table is the one in the design: a room is a part of `src`, and a file may import its own
 * room, the rooms that its row names, and the packages that its row names.
 */
import * as Path from "node:path/posix"
import type { SourceFile } from "./SourceFile.ts"

interface Room {
  readonly name: string
  readonly holds: RegExp
  readonly rooms: ReadonlyArray<string>
  /** A name stands for itself and what is below it; `effect` for itself alone, and `node:` for every module of Node. */
  readonly packages: ReadonlyArray<string>
}

const schema = ["wire", "events"]
const core = ["client core", ...schema]
/** The modules of Effect that services use, besides its core. */
const service = [
  "effect/crypto",
  "effect/encoding",
  "effect/http",
  "effect/http-api",
  "effect/observability",
  "effect/process",
  "effect/reactivity",
  "effect/sql"
]
const platform = ["node:", "@effect/platform-node"]

const serverRooms = [
  "storage",
  "access",
  "agents",
  "files",
  "folders",
  "workspaces",
  "sessions",
  "runs",
  "calls",
  "upkeep",
  "http"
]

/** A folder of the server, and the folders of it that it may import. */
const serverRoom = (name: string, ...below: ReadonlyArray<string>): Room => ({
  name: `server/${name}`,
  holds: new RegExp(`^src/server/${name}/`),
  rooms: [...below.map((room) => `server/${room}`), "server basics", "api", "agent", ...schema],
  packages: ["effect", ...service, ...platform]
})

/** The first room that holds a file is its room. */
export const rooms: ReadonlyArray<Room> = [
  {
    name: "events",
    holds: /^src\/wire\/(AcpUpdate|CallIdentity|Event(Decoder|Kinds)|TurnEvent(Codec|s)?|Usage|WellFormed)\.ts$/,
    rooms: [],
    packages: ["effect"]
  },
  { name: "wire", holds: /^src\/wire\//, rooms: ["events"], packages: ["effect"] },
  { name: "api", holds: /^src\/api\//, rooms: schema, packages: ["effect", "effect/http-api"] },
  {
    name: "client core",
    holds: /^src\/([^/]+\.ts$|internal\/)/,
    rooms: schema,
    packages: ["effect", "effect/http", "effect/encoding"]
  },
  { name: "node", holds: /^src\/node\//, rooms: core, packages: ["effect", "effect/http", ...platform] },
  // Programs of their own, of which many run at once: they load nothing but Node's modules.
  { name: "agent programs", holds: /^src\/agent\/(demo|process\/watchdog)\//, rooms: [], packages: ["node:"] },
  {
    name: "agent",
    holds: /^src\/agent\//,
    rooms: ["events", "agent programs"],
    packages: ["effect", "effect/encoding", "effect/process", "@agentclientprotocol/sdk", "node:"]
  },
  {
    name: "server basics",
    holds:
      /^src\/server\/(AppCounts|CurrentRequest|Metrics|Shutdown|Spans|StartFailed|Stopwatch|SystemPrompts|Timeouts|TurnBudget)\.ts$/,
    rooms: ["agent", "api", ...schema],
    packages: ["effect"]
  },
  serverRoom("storage"),
  serverRoom("access", "storage"),
  serverRoom("agents", "storage"),
  serverRoom("files", "storage"),
  serverRoom("workspaces", "storage"),
  serverRoom("folders"),
  serverRoom("sessions", "workspaces", "folders", "agents", "files", "storage"),
  serverRoom("runs", "agents", "files", "storage"),
  serverRoom("calls", "sessions", "runs", "storage"),
  serverRoom("upkeep", "calls", "sessions", "workspaces", "files", "storage"),
  serverRoom(
    "http",
    "access",
    "upkeep",
    "calls",
    "sessions",
    "runs",
    "workspaces",
    "folders",
    "agents",
    "files",
    "storage"
  ),
  {
    name: "server",
    holds: /^src\/server\/[^/]+$/,
    rooms: [...serverRooms.map((name) => `server/${name}`), "server basics", "api", "agent", ...core],
    packages: ["effect", ...service, ...platform]
  },
  { name: "ai", holds: /^src\/ai\//, rooms: core, packages: ["effect", "effect/ai", "effect/encoding"] },
  // The fake is the server's own code over memory, so that the two cannot differ.
  {
    name: "testing",
    holds: /^src\/testing\//,
    rooms: ["server basics", ...serverRooms.map((name) => `server/${name}`), "api", "agent", ...core],
    packages: ["effect", "effect/crypto", "effect/encoding", "effect/http"]
  },
  {
    name: "cli",
    holds: /^src\/cli\//,
    rooms: ["api", "agent", "server", "server basics", ...serverRooms.map((name) => `server/${name}`), "node", ...core],
    packages: ["effect", "effect/cli", ...service, ...platform]
  }
]

/** What the client must not load, however far away it is imported. */
const notInTheClient = /^(node:|@|effect\/(ai|http-api|sql)(\/|$)|src\/(server|agent|ai|cli|node|testing)\/)/

const matches = (allowed: string, name: string) =>
  name === allowed || (allowed !== "effect" && name.startsWith(/[:/]$/.test(allowed) ? allowed : `${allowed}/`))

const roomOf = (path: string) => rooms.find((room) => room.holds.test(path))

const isRelative = (specifier: string) => specifier.startsWith(".")

const target = (file: SourceFile, specifier: string) =>
  isRelative(specifier) ? Path.join(Path.dirname(file.path), specifier) : specifier

const ruleOf = (room: Room) =>
  `${room.name} may import ${[...room.rooms, ...room.packages].join(", ") || "nothing"}, and itself`

const objection = (file: SourceFile, room: Room, specifier: string): string | undefined => {
  if (specifier === "@effect/platform-node") return "its index loads packages that need not be there; name the module"
  if (!isRelative(specifier)) {
    return room.packages.some((pattern) => matches(pattern, specifier)) ? undefined : ruleOf(room)
  }
  if (!specifier.endsWith(".ts")) return "a relative import carries its .ts"
  const other = roomOf(target(file, specifier))
  if (other === undefined) return "the file is in no room of src"
  return other === room || room.rooms.includes(other.name) ? undefined : ruleOf(room)
}

const ofFile = (file: SourceFile): ReadonlyArray<string> => {
  const room = roomOf(file.path)
  if (room === undefined) return [`${file.path}: is in no room; add one to test/house/Arrows.ts`]
  return file.imports.flatMap(({ line, specifier }) => {
    const at = `${file.path}:${line}`
    if (specifier === undefined) return [`${at}: imports a name that is not a plain string`]
    const rule = objection(file, room, specifier)
    return rule === undefined ? [] : [`${at}: imports "${specifier}"; ${rule}`]
  })
}

/** Follows every import from the files of the client, and prints the chain to each forbidden one. */
const ofClient = (files: ReadonlyArray<SourceFile>): ReadonlyArray<string> => {
  const byPath = new Map(files.map((file) => [file.path, file]))
  const seen = new Set<string>()
  const found: Array<string> = []
  const follow = (file: SourceFile, way: string) => {
    if (seen.has(file.path)) return
    seen.add(file.path)
    for (const { specifier } of file.imports) {
      if (specifier === undefined) continue
      const name = target(file, specifier)
      if (notInTheClient.test(name)) found.push(`${way} → "${specifier}": the client must run without it`)
      const next = byPath.get(name)
      if (next !== undefined) follow(next, `${way} → ${name}`)
    }
  }
  for (const file of files) if (roomOf(file.path)?.name === "client core") follow(file, file.path)
  return found
}

/** The folders of the client's inside, lowest first: each may import those before it. */
const inside = ["calls", "failure", "telemetry", "exchange"]

const insideOf = (path: string) => inside.indexOf(/^src\/internal\/(\w+)\//.exec(path)?.[1] ?? "")

/** The imports within the client's inside that go up. */
const upwards = (files: ReadonlyArray<SourceFile>): ReadonlyArray<string> =>
  files.flatMap((file) =>
    file.imports.flatMap(({ line, specifier }) => {
      if (specifier === undefined) return []
      const from = insideOf(file.path)
      const name = target(file, specifier)
      const goesUp =
        insideOf(name) > from || /^src\/internal\/(Protocol|SessionHandle|SessionLifetime|Settings)\.ts$/.test(name)
      return from !== -1 && goesUp ? [`${file.path}:${line}: imports "${specifier}", which is above it`] : []
    })
  )

/** The files that import each other in a circle, types included; each circle once, by the way round it. */
const circles = (files: ReadonlyArray<SourceFile>): ReadonlyArray<string> => {
  const byPath = new Map(files.map((file) => [file.path, file]))
  const done = new Set<string>()
  const found: Array<string> = []
  const follow = (file: SourceFile, way: ReadonlyArray<string>) => {
    const start = way.indexOf(file.path)
    if (start !== -1) {
      found.push(`${[...way.slice(start), file.path].join(" → ")}: a circle`)
      return
    }
    if (done.has(file.path)) return
    for (const { specifier } of file.imports) {
      const next = specifier === undefined ? undefined : byPath.get(target(file, specifier))
      if (next !== undefined) follow(next, [...way, file.path])
    }
    done.add(file.path)
  }
  for (const file of files) follow(file, [])
  return found
}

/** Every import that the table does not allow, and every circle, one sentence each. */
export const violations = (files: ReadonlyArray<SourceFile>): ReadonlyArray<string> => [
  ...files.flatMap(ofFile),
  ...ofClient(files),
  ...upwards(files),
  ...circles(files)
]
