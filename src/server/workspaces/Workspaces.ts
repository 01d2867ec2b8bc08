/**
 * The workspaces that the operator names, and what sessions get of them.
 *
 * Nothing else of the machine can be named from the wire.
 */
import { Context, Effect, type Option } from "effect"
import { bodyIssue, Invalid, type RunFailed, type TooLarge } from "../../api/Errors.ts"
import type { SessionId } from "../../wire/Ids.ts"
import type { OpenedWorkspace, Workspace, WorkspaceMode } from "../../wire/Workspaces.ts"

export class Workspaces extends Context.Service<
  Workspaces,
  {
    readonly names: ReadonlyArray<string>
    /** What a session is to have, by the mode that goes with its root where it names none. */
    readonly check: (workspace: Workspace) => Effect.Effect<OpenedWorkspace, Invalid>
    /** Where the session works: undefined for the folder of its own, which `prepare` fills. */
    readonly folderOf: (opened: OpenedWorkspace) => string | undefined
    /** Fills the session's folder, before its agent starts. */
    readonly prepare: (sessionId: SessionId, workspace: Workspace) => Effect.Effect<void, Invalid | RunFailed>
    /** What an open session has changed in its clone or copy, as a patch; none of a session without one. */
    readonly diff: (sessionId: SessionId) => Effect.Effect<Option.Option<string>, RunFailed | TooLarge>
    /**
     * Keeps the diff of a session that is closed, and removes what else there is of it beside its folder. Its agent must have
     * ended, and its folder must be there.
     */
    readonly close: (sessionId: SessionId) => Effect.Effect<void>
    /** The diff that was kept of a closed session. */
    readonly keptDiff: (sessionId: SessionId) => Effect.Effect<Option.Option<string>>
    /** Removes what was kept of a closed session. */
    readonly forget: (sessionId: SessionId) => Effect.Effect<void>
    /** Does the same as `close` for all sessions but these. */
    readonly keepOnly: (sessionIds: ReadonlySet<string>) => Effect.Effect<void>
  }
>()("effect-clawdforge/server/workspaces/Workspaces") {}

/** An issue with a field of the workspace. */
const invalid = (field: "mode" | "name" | "ref", message: string) =>
  new Invalid({ detail: [bodyIssue(["workspace", field], message)] })

export const unknown = (names: ReadonlyArray<string>) =>
  invalid(
    "name",
    names.length === 0
      ? "the server has no workspaces"
      : `no workspace of this name: the server has ${names.join(", ")}`
  )

/** What a session is to have of a root that has these modes, the first of them where it names none. */
export const choose = (
  { mode, name, ref }: Workspace,
  modes: ReadonlyArray<WorkspaceMode>
): Effect.Effect<OpenedWorkspace, Invalid> => {
  const chosen = mode ?? modes[0] ?? "copy"
  if (!modes.includes(chosen)) return Effect.fail(wrongMode(chosen, modes))
  if (typeof ref === "string" && chosen !== "clone") return Effect.fail(refNeedsClone)
  return Effect.succeed({ name, mode: chosen })
}

/** The refusal of a mode that a root does not have. */
const wrongMode = (mode: WorkspaceMode, modes: ReadonlyArray<WorkspaceMode>) =>
  invalid("mode", `the workspace cannot be had as ${mode}: it can be had as ${modes.join(", ")}`)

const refNeedsClone = invalid("ref", "only a clone is of a branch, a tag or a commit")

export const unknownRef = invalid("ref", "the workspace has no branch, tag or commit of this name")
