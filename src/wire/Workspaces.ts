/**
 * Workspaces: folders of the server's machine that the operator names, for sessions to work in.
 */
import { Schema } from "effect"
import { nullable } from "./Ids.ts"

/** The name of a workspace in the server's table. */
export const WorkspaceName = Schema.String.check(
  Schema.isPattern(/^[a-z0-9_-]{1,64}$/u, { message: "must be 1 to 64 lower-case letters, digits, _ or -" })
)

/** How a session works in it. */
export const WorkspaceMode = Schema.Literals(["clone", "copy", "shared"])
export type WorkspaceMode = typeof WorkspaceMode.Type

/** A branch, a tag or a commit. */
const Ref = Schema.String.check(
  Schema.isPattern(/^(?!-)(?!.*\.\.)[A-Za-z0-9._/-]{1,255}$/u, { message: "must be a branch, a tag or a commit" })
)

/** The workspace of a session, as it was opened. */
export const OpenedWorkspace = Schema.Struct({ name: WorkspaceName, mode: WorkspaceMode })
export type OpenedWorkspace = typeof OpenedWorkspace.Type

/** Which workspace a session is to have, for servers that name `workspaces`. */
export const Workspace = Schema.Struct({ name: WorkspaceName, mode: nullable(WorkspaceMode), ref: nullable(Ref) })
export type Workspace = typeof Workspace.Type
