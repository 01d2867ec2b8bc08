/**
 * The public surface as calls that can fail, under the names of the exports and methods that they go through.
 */
import { Effect, Redacted, Schema, type Scope, Stream } from "effect"
import { Forge, ForgeAdmin, ForgeClient, type Session, type SessionInfo, Upload } from "../../src/index.ts"
import { canaries } from "./Canaries.ts"

export type Services = ForgeClient.ForgeClient | ForgeAdmin.ForgeAdmin | Scope.Scope

const id = "s-1" as SessionInfo.SessionId
const { prompt, system } = canaries
const files = [Upload.fileToken(canaries.file)]
const source = Upload.fromBytes("notes.txt", new TextEncoder().encode("notes"))
const client = ForgeClient.ForgeClient
const admin = ForgeAdmin.ForgeAdmin
const runOptions = { system, files, timeout: "1 minute" } as const

/** A method of the handle of a session. */
const ofHandle = (
  use: (session: Session.Session) => Effect.Effect<unknown, unknown>
): Effect.Effect<unknown, unknown, Services> => Effect.flatMap(Forge.attach(id), use)

export const ofService: {
  readonly [Key in keyof ForgeClient.Service]: Effect.Effect<unknown, unknown, Services>
} = {
  agents: client.use(({ agents }) => agents),
  health: client.use(({ health }) => health),
  session: client.use((client) => client.session({ meta: { caller: "billing" } })),
  open: client.use((client) => client.open({ meta: { caller: "billing" } })),
  attach: client.use((client) => client.attach(id)),
  sessions: client.use((client) => client.sessions()),
  sessionsStream: client.use((client) => Stream.runDrain(client.sessionsStream())),
  run: client.use((client) => client.run(prompt, runOptions)),
  runStream: client.use((client) => Stream.runCollect(client.runStream(prompt, runOptions))),
  upload: client.use((client) => client.upload(source))
}

export const ofAdmin: {
  readonly [Key in keyof ForgeAdmin.Service]: Effect.Effect<unknown, unknown, Services>
} = {
  mint: admin.use(({ mint }) => mint("billing", { ipCidrs: ["10.0.0.0/8"] })),
  list: admin.use(({ list }) => list),
  revoke: admin.use(({ revoke }) => revoke("billing"))
}

export const ofSession: {
  readonly [Key in Exclude<keyof Session.Session, "id" | "info" | "closed" | "files">]: Effect.Effect<
    unknown,
    unknown,
    Services
  >
} = {
  turn: ofHandle((session) => session.turn(prompt, { files })),
  turnAs: ofHandle((session) =>
    session.turnAs(Schema.Finite, prompt, { files, repairs: 0 }).pipe(
      // What the agent answered is in the reason.
      Effect.catchReason("ApiError", "OutputMismatch", (reason) => Effect.succeed(reason))
    )
  ),
  stream: ofHandle((session) => Stream.runCollect(session.stream(prompt, { files }))),
  cancel: ofHandle((session) => session.cancel),
  state: ofHandle((session) => session.state),
  diff: ofHandle((session) => session.diff),
  close: ofHandle((session) => session.close)
}

export const ofFiles: {
  readonly [Key in keyof Session.Session["files"]]: Effect.Effect<unknown, unknown, Services>
} = {
  list: ofHandle(({ files }) => files.list()),
  read: ofHandle(({ files }) => Stream.runCollect(files.read("notes.txt"))),
  write: ofHandle(({ files }) => files.write("notes.txt", canaries.file))
}

export const ofModules: Readonly<Record<string, Effect.Effect<unknown, unknown, Services>>> = {
  "Forge.session": Forge.session({ meta: { caller: "billing" } }),
  "Forge.withSession": Forge.withSession({}, (session) => session.turn(prompt, { files })),
  "Forge.agents": Forge.agents,
  "Forge.open": Forge.open({ meta: { caller: "billing" } }),
  "Forge.attach": Forge.attach(id),
  "Forge.sessions": Forge.sessions(),
  "Forge.sessionsStream": Stream.runDrain(Forge.sessionsStream()),
  "Forge.run": Forge.run(prompt, runOptions),
  "Forge.runStream": Stream.runCollect(Forge.runStream(prompt, runOptions)),
  "Forge.upload": Forge.upload(source),
  "Forge.health": Forge.health
}

const named = (prefix: string, calls: Readonly<Record<string, Effect.Effect<unknown, unknown, Services>>>) =>
  Object.entries(calls).map(([name, call]) => [`${prefix}${name}`, call] as const)

/** Every call there is. */
export const calls = [
  ...named("", ofModules),
  ...named("client.", ofService),
  ...named("admin.", ofAdmin),
  ...named("session.", ofSession),
  ...named("session.files.", ofFiles)
]

/** Both clients, as layers would be given them. */
export const options = (url: string) => ({
  client: { url, token: Redacted.make(canaries.app), retry: false as const },
  admin: { url, token: Redacted.make(canaries.admin), retry: false as const }
})
