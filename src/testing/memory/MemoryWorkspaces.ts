/**
 * The workspaces of a server in memory.
 */
import { Effect, Layer, Option } from "effect"
import type { SessionId } from "../../wire/Ids.ts"
import type { WorkspaceMode } from "../../wire/Workspaces.ts"
import { choose, unknown, unknownRef, Workspaces } from "../../server/workspaces/Workspaces.ts"
import { putFile, type Store } from "./Store.ts"

/** A workspace of the fake. */
export interface FakeWorkspace {
  readonly name: string
  /** The branches, tags and commits of a repository; not one if not given, so that there is no clone of it. */
  readonly refs?: ReadonlyArray<string> | undefined
  /** Whether sessions may work in the folder itself; not if not given. */
  readonly shared?: boolean | undefined
  /** What its sessions have changed, as a patch; nothing if not given. */
  readonly diff?: string | undefined
  /** The texts of its files, by their path; none if not given. */
  readonly files?: Readonly<Record<string, string>> | undefined
}

const modesOf = ({ refs, shared = false }: FakeWorkspace): ReadonlyArray<WorkspaceMode> => [
  ...(refs === undefined ? [] : (["clone"] as const)),
  "copy",
  ...(shared ? (["shared"] as const) : [])
]

/** The sessions of `store` have their workspaces in it. */
export const layer = (store: Store, workspaces: ReadonlyArray<FakeWorkspace>) => {
  const names = workspaces.map(({ name }) => name)
  const find = (name: string) => {
    const found = workspaces.find((workspace) => workspace.name === name)
    return found === undefined ? Effect.fail(unknown(names)) : Effect.succeed(found)
  }
  const diffOf = (sessionId: SessionId) => {
    const opened = store.sessions.get(sessionId)?.session.workspace
    if (opened === undefined || opened === null || opened.mode === "shared") return Option.none()
    return Option.some(workspaces.find(({ name }) => name === opened.name)?.diff ?? "")
  }
  const rootOf = (name: string) => `/workspaces/${name}`
  /** Puts the files of a workspace into a folder. */
  const fill = (folder: string, { files = {} }: FakeWorkspace) =>
    Effect.forEach(
      Object.entries(files),
      ([path, text]) => putFile(store, `${folder}/${path}`, new TextEncoder().encode(text)),
      { discard: true }
    )
  const service = Workspaces.of({
    names,
    check: (workspace) => Effect.flatMap(find(workspace.name), (root) => choose(workspace, modesOf(root))),
    folderOf: ({ mode, name }) => (mode === "shared" ? rootOf(name) : undefined),
    prepare: Effect.fnUntraced(function* (sessionId, workspace) {
      const { name, ref } = workspace
      const root = yield* find(name)
      if (typeof ref === "string" && !(root.refs ?? []).includes(ref)) return yield* unknownRef
      const { mode } = yield* choose(workspace, modesOf(root))
      if (mode !== "shared") yield* fill(`/sessions/${sessionId}`, root)
    }),
    diff: (sessionId) => Effect.sync(() => diffOf(sessionId)),
    close: () => Effect.void,
    keptDiff: (sessionId) => Effect.sync(() => diffOf(sessionId)),
    forget: () => Effect.void,
    keepOnly: () => Effect.void
  })
  const filled = Effect.forEach(workspaces, (workspace) => fill(rootOf(workspace.name), workspace))
  return Layer.effect(Workspaces, Effect.as(filled, service))
}
