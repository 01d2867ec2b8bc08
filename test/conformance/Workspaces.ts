/**
 * WIRE.md, "What our server adds": workspaces, which the operator names.
 */
import { Effect } from "effect"
import { strict as assert } from "node:assert"
import type { Group } from "./Case.ts"
import * as Expect from "./Expect.ts"
import { App, Server } from "./Server.ts"

/** Opens a session in a workspace, whatever comes of it. */
const open = Effect.fnUntraced(function* (workspace: unknown) {
  const app = yield* App
  const { agent } = yield* Server
  const answer = yield* app.request("POST", "/sessions", { body: { agent, workspace } })
  const id = answer.status === 200 ? String(Expect.answer(answer, 200)["session_id"]) : undefined
  if (id !== undefined) yield* Effect.addFinalizer(() => app.request("DELETE", `/sessions/${id}`).pipe(Effect.ignore))
  return answer
})

const cwdOf = (workspace: unknown) =>
  Effect.map(open(workspace), (answer) => String(Expect.answer(answer, 200, { cwd: Expect.isString })["cwd"]))

export const Workspaces: Group = {
  name: "What our server adds: workspaces",
  cases: [
    {
      title: "POST /sessions takes workspace: {name, mode?, ref?}; the session works in a folder of its own",
      needs: ["feature workspaces", "repository"],
      test: Effect.gen(function* () {
        const folders = [
          yield* cwdOf(null),
          yield* cwdOf({ name: "repository" }),
          yield* cwdOf({ name: "repository", mode: null, ref: null }),
          yield* cwdOf({ name: "repository", mode: "clone", ref: "main" }),
          yield* cwdOf({ name: "repository", mode: "copy" })
        ]
        assert.equal(new Set(folders).size, folders.length)
      })
    },
    {
      title: "shared, where the operator allows it, is the folder itself: two sessions work in one",
      needs: ["feature workspaces", "repository"],
      test: Effect.gen(function* () {
        const folders = [
          yield* cwdOf({ name: "board", mode: "shared" }),
          yield* cwdOf({ name: "board", mode: "shared" }),
          yield* cwdOf({ name: "board" })
        ]
        assert.equal(folders[0], folders[1])
        assert.notEqual(folders[0], folders[2])
      })
    },
    {
      title: "an unknown name or ref, a mode that is not allowed, and a ref of what is no clone: 422 with its loc",
      needs: ["feature workspaces", "repository"],
      test: Effect.gen(function* () {
        const app = yield* App
        for (const [workspace, field] of [
          [{ name: "unknown" }, "name"],
          [{ name: "../repository" }, "name"],
          [{ name: "" }, "name"],
          [{}, "name"],
          [{ name: "repository", ref: "no-such-branch" }, "ref"],
          [{ name: "repository", ref: "--upload-pack=x" }, "ref"],
          [{ name: "repository", ref: "main..main" }, "ref"],
          [{ name: "repository", mode: "copy", ref: "main" }, "ref"],
          [{ name: "repository", mode: "shared" }, "mode"],
          [{ name: "board", mode: "clone" }, "mode"],
          [{ name: "board", mode: "worktree" }, "mode"]
        ] as const) {
          Expect.invalid(yield* open(workspace), ["body", "workspace", field])
        }
        for (const workspace of ["repository", ["repository"], 1]) {
          Expect.invalid(yield* open(workspace), ["body", "workspace"])
        }
        const { count } = Expect.answer(yield* app.request("GET", "/sessions"), 200)
        assert.equal(count, 0)
      })
    },
    {
      title:
        "GET /sessions/{id}/diff: what a clone or a copy has changed, also after its close; of any other session 404",
      needs: ["feature diff", "repository"],
      test: Effect.gen(function* () {
        const app = yield* App
        const diffOf = (id: string) => app.request("GET", `/sessions/${id}/diff`)
        for (const workspace of [{ name: "repository" }, { name: "repository", mode: "copy" }]) {
          const id = yield* app.open({ workspace })
          Expect.answer(yield* diffOf(id), 200, { ok: true, diff: "" })
          yield* app.request("DELETE", `/sessions/${id}`)
          Expect.answer(yield* diffOf(id), 200, { ok: true, diff: "" })
        }
        for (const body of [{}, { workspace: { name: "board", mode: "shared" } }]) {
          Expect.refused(yield* diffOf(yield* app.open(body)), 404, "file not found")
        }
        Expect.refused(yield* diffOf("unknown"), 404)
      })
    }
  ]
}
