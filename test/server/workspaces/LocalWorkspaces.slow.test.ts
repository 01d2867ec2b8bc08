import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem, Layer, Option } from "effect"
import { execFileSync } from "node:child_process"
import { SessionId } from "../../../src/wire/Ids.ts"
import * as DataFolder from "../../../src/server/storage/DataFolder.ts"
import { WorkingDirectories } from "../../../src/server/storage/WorkingDirectories.ts"
import * as LocalWorkspaces from "../../../src/server/workspaces/LocalWorkspaces.ts"
import { Workspaces } from "../../../src/server/workspaces/Workspaces.ts"

/** Git as a user runs it, with the repository's own configuration. */
const git = (cwd: string, ...args: ReadonlyArray<string>): string =>
  execFileSync("git", ["-c", "user.name=a", "-c", "user.email=a@b", ...args], {
    cwd,
    encoding: "utf8",
    env: { PATH: process.env["PATH"], HOME: "/nonexistent", GIT_CONFIG_GLOBAL: "/dev/null" }
  }).trim()

/** A repository with two commits on `main`, a branch and a tag. */
const repository = Effect.fnUntraced(function* () {
  const fs = yield* FileSystem.FileSystem
  const root = yield* fs.makeTempDirectoryScoped({ prefix: "root-" })
  git(root, "init", "--quiet", "--initial-branch=main")
  yield* fs.writeFileString(`${root}/a.txt`, "one\n")
  git(root, "add", ".")
  git(root, "commit", "--quiet", "-m", "one")
  git(root, "tag", "-a", "v1", "-m", "v1")
  git(root, "branch", "topic/old")
  yield* fs.writeFileString(`${root}/a.txt`, "two\n")
  git(root, "commit", "--quiet", "-am", "two")
  return root
})

const sessionId = (name: string) => SessionId.make(name)

/** A server with these roots, and what a test does with it. */
const withRoots = <A, E, R>(
  workspaces: ReadonlyArray<LocalWorkspaces.WorkspaceRoot>,
  test: (server: {
    readonly workspaces: Workspaces["Service"]
    readonly folder: (name: string) => string
  }) => Effect.Effect<A, E, R>
) =>
  Effect.gen(function* () {
    const server = yield* Workspaces
    const { ofSession } = yield* WorkingDirectories
    return yield* test({ workspaces: server, folder: ofSession })
  }).pipe(Effect.provide(Layer.provideMerge(LocalWorkspaces.layer({ workspaces }), DataFolder.layer({}))))

/** The state of a folder, to see that nothing in it has changed. */
const stateOf = Effect.fnUntraced(function* (root: string) {
  const fs = yield* FileSystem.FileSystem
  const names = (yield* fs.readDirectory(root, { recursive: true })).toSorted()
  return yield* Effect.forEach(names, (name) =>
    Effect.map(fs.stat(`${root}/${name}`), ({ mtime, size, type }) => [
      name,
      type,
      String(size),
      Option.getOrUndefined(mtime)?.getTime()
    ])
  )
})

layer(NodeServices.layer)("the workspaces of a machine", (it) => {
  it.effect("a session has a clone of a git repository, detached, with refs of its own; the root is not touched", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const root = yield* repository()
      const before = yield* stateOf(root)
      yield* withRoots(
        [{ name: "shop", path: root }],
        Effect.fnUntraced(function* ({ folder, workspaces }) {
          assert.deepStrictEqual(yield* workspaces.check({ name: "shop" }), { name: "shop", mode: "clone" })
          yield* workspaces.prepare(sessionId("one"), { name: "shop" })
          const one = folder("one")
          assert.strictEqual(yield* fs.readFileString(`${one}/a.txt`), "two\n")
          assert.strictEqual(git(one, "rev-parse", "HEAD"), git(root, "rev-parse", "main"))
          assert.strictEqual(git(one, "status", "--porcelain"), "")
          assert.strictEqual(git(one, "log", "--format=%s"), "two\none")
          assert.deepStrictEqual(git(one, "for-each-ref", "--format=%(refname)").split("\n"), [
            "refs/remotes/origin/main",
            "refs/remotes/origin/topic/old",
            "refs/tags/v1"
          ])

          // What one session does, no other one sees, nor the root.
          yield* workspaces.prepare(sessionId("two"), { name: "shop" })
          yield* fs.writeFileString(`${one}/a.txt`, "three\n")
          git(one, "commit", "--quiet", "-am", "three")
          git(one, "branch", "mine")
          assert.strictEqual(git(folder("two"), "status", "--porcelain"), "")
          assert.notInclude(git(folder("two"), "for-each-ref"), "mine")
          assert.deepStrictEqual(yield* stateOf(root), before)
        })
      )
    })
  )

  it.effect("a clone is of a branch, a tag, or a commit in full or in part", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const root = yield* repository()
      const first = git(root, "rev-parse", "v1^{commit}")
      git(root, "pack-refs", "--all")
      yield* withRoots(
        [{ name: "shop", path: root }],
        Effect.fnUntraced(function* ({ folder, workspaces }) {
          for (const [index, ref] of ["topic/old", "v1", first, first.slice(0, 8)].entries()) {
            yield* workspaces.prepare(sessionId(`s${index}`), { name: "shop", ref })
            assert.strictEqual(git(folder(`s${index}`), "rev-parse", "HEAD"), first, ref)
            assert.strictEqual(yield* fs.readFileString(`${folder(`s${index}`)}/a.txt`), "one\n")
          }
          for (const ref of ["nothing", "v2", "deadbeef"]) {
            const refused = yield* Effect.flip(workspaces.prepare(sessionId("none"), { name: "shop", ref }))
            assert.deepInclude(refused, {
              detail: [
                {
                  loc: ["body", "workspace", "ref"],
                  msg: "the workspace has no branch, tag or commit of this name",
                  type: "value_error"
                }
              ]
            })
          }
        })
      )
    })
  )

  it.effect("a git gc in the root, with all refs deleted, breaks no open session", () =>
    Effect.gen(function* () {
      const root = yield* repository()
      yield* withRoots(
        [{ name: "shop", path: root }],
        Effect.fnUntraced(function* ({ folder, workspaces }) {
          yield* workspaces.prepare(sessionId("one"), { name: "shop" })
          git(root, "checkout", "--quiet", "--orphan", "new")
          git(root, "commit", "--quiet", "-m", "new")
          git(root, "branch", "-D", "main", "topic/old")
          git(root, "tag", "-d", "v1")
          git(root, "reflog", "expire", "--expire=now", "--all")
          git(root, "gc", "--quiet", "--prune=now")
          assert.strictEqual(git(folder("one"), "log", "--format=%s"), "two\none")
          assert.strictEqual(git(folder("one"), "fsck", "--full"), "")
        })
      )
    })
  )

  it.effect("no program runs that a repository names: hooks, filters, monitors of the file system", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const root = yield* repository()
      const planted = `${root}/planted`
      const program = `${root}/.git/program`
      yield* fs.writeFileString(program, `#!/bin/sh\ntouch ${planted}\ncat\n`, { mode: 0o755 })
      yield* fs.writeFileString(`${root}/.gitattributes`, "*.txt filter=planted diff=planted\n")
      git(root, "add", ".gitattributes")
      git(root, "commit", "--quiet", "-m", "attributes")
      for (const [name, value] of [
        ["core.fsmonitor", program],
        ["core.hooksPath", `${root}/.git/planted-hooks`],
        ["filter.planted.smudge", program],
        ["filter.planted.clean", program],
        ["filter.planted.process", program],
        ["diff.external", program],
        ["uploadpack.packObjectsHook", program],
        ["core.sshCommand", program]
      ] as const) {
        git(root, "config", name, value)
      }
      for (const folder of ["hooks", "planted-hooks"]) {
        yield* fs.makeDirectory(`${root}/.git/${folder}`, { recursive: true })
        for (const hook of ["post-checkout", "post-index-change", "reference-transaction", "post-merge"]) {
          yield* fs.copyFile(program, `${root}/.git/${folder}/${hook}`)
        }
      }
      // The programs are there: a clone of a user runs one.
      yield* withRoots(
        [{ name: "shop", path: root, shared: true }],
        Effect.fnUntraced(function* ({ folder, workspaces }) {
          yield* workspaces.prepare(sessionId("one"), { name: "shop" })
          assert.isFalse(yield* fs.exists(planted))
          assert.strictEqual(yield* fs.readFileString(`${folder("one")}/a.txt`), "two\n")
          assert.isFalse(yield* fs.exists(`${folder("one")}/.git/hooks`))
        })
      )
      git(root, "checkout", "--quiet", "v1")
      assert.isTrue(yield* fs.exists(planted))
    })
  )

  it.effect("a repository that is replaced by another while the server runs is not cloned", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const [root, other] = [yield* repository(), yield* repository()]
      yield* withRoots(
        [{ name: "shop", path: root, shared: true }],
        Effect.fnUntraced(function* ({ workspaces }) {
          yield* fs.rename(`${root}/.git/objects`, `${root}/.git/mine`)
          yield* fs.symlink(`${other}/.git/objects`, `${root}/.git/objects`)
          const failed = yield* Effect.flip(workspaces.prepare(sessionId("one"), { name: "shop" }))
          assert.include(failed._tag === "RunFailed" ? failed.error : "", "is not the repository any more that it was")
        })
      )
    })
  )

  it.effect("the diff has what any program changed, ignored files left out, and applies to the root", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const root = yield* repository()
      yield* withRoots(
        [{ name: "shop", path: root }],
        Effect.fnUntraced(function* ({ folder, workspaces }) {
          const id = sessionId("one")
          yield* workspaces.prepare(id, { name: "shop" })
          assert.deepStrictEqual(yield* workspaces.diff(id), Option.some(""))
          const one = folder("one")
          yield* fs.writeFileString(`${one}/a.txt`, "three\n")
          yield* fs.writeFileString(`${one}/.gitignore`, "*.log\n")
          yield* fs.writeFileString(`${one}/debug.log`, "canary-log")
          yield* fs.writeFile(`${one}/latin1.txt`, Uint8Array.from([0xe9, 0x0a]))
          yield* fs.makeDirectory(`${one}/attachments-x`)
          yield* fs.writeFileString(`${one}/attachments-x/attachment-1.txt`, "canary-attachment")
          yield* fs.symlink("/etc/passwd", `${one}/link`)
          execFileSync("mkfifo", [`${one}/pipe`])
          git(one, "add", "a.txt")
          git(one, "commit", "--quiet", "-m", "three")

          // A repository in it is files, wherever it stands.
          for (const nested of ["lib", "lib/deep/er"]) {
            yield* fs.makeDirectory(`${one}/${nested}`, { recursive: true })
            git(`${one}/${nested}`, "init", "--quiet")
            yield* fs.writeFileString(`${one}/${nested}/mine.txt`, `${nested}\n`)
            git(`${one}/${nested}`, "add", "mine.txt")
            git(`${one}/${nested}`, "commit", "--quiet", "-m", "nested")
          }

          const diff = Option.getOrThrow(yield* workspaces.diff(id))
          const names = [...diff.matchAll(/^diff --git a\/(\S+)/gm)].map(([, name]) => name)
          assert.deepStrictEqual(names, [
            ".gitignore",
            "a.txt",
            "latin1.txt",
            "lib/deep/er/mine.txt",
            "lib/mine.txt",
            "link"
          ])
          assert.notMatch(diff, /canary|root:x/)

          yield* fs.writeFileString(`${root}/the.patch`, diff)
          git(root, "apply", "the.patch")
          assert.strictEqual(yield* fs.readFileString(`${root}/a.txt`), "three\n")
          assert.deepStrictEqual([...(yield* fs.readFile(`${root}/latin1.txt`))], [0xe9, 0x0a])
          assert.strictEqual(yield* fs.readFileString(`${root}/lib/deep/er/mine.txt`), "lib/deep/er\n")
          assert.strictEqual(yield* fs.readLink(`${root}/link`), "/etc/passwd")

          // It is kept when the session closes, and goes with it.
          yield* workspaces.close(id)
          assert.deepStrictEqual(yield* workspaces.keptDiff(id), Option.some(diff))
          yield* workspaces.forget(id)
          assert.deepStrictEqual(yield* workspaces.keptDiff(id), Option.none())
        })
      )
    })
  )

  it.effect("no program runs that an agent has named in its folder when the diff is made", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const root = yield* repository()
      yield* withRoots(
        [{ name: "shop", path: root }],
        Effect.fnUntraced(function* ({ folder, workspaces }) {
          const id = sessionId("one")
          yield* workspaces.prepare(id, { name: "shop" })
          const one = folder("one")
          const planted = `${root}/planted`
          const program = `${one}/program`
          yield* fs.writeFileString(program, `#!/bin/sh\ntouch ${planted}\ncat\n`, { mode: 0o755 })
          yield* fs.makeDirectory(`${one}/sub`)
          git(`${one}/sub`, "init", "--quiet")
          for (const repository of [one, `${one}/sub`]) {
            yield* fs.writeFileString(`${repository}/.gitattributes`, "* filter=planted diff=planted\n")
            yield* fs.writeFileString(`${repository}/changed.txt`, "changed\n")
            yield* fs.makeDirectory(`${repository}/.git/hooks`, { recursive: true })
            for (const hook of ["post-index-change", "pre-commit", "reference-transaction"]) {
              yield* fs.copyFile(program, `${repository}/.git/hooks/${hook}`)
            }
            for (const [name, value] of [
              ["core.fsmonitor", program],
              ["filter.planted.clean", program],
              ["filter.planted.process", program],
              ["diff.planted.textconv", program],
              ["diff.planted.command", program],
              ["diff.external", program]
            ] as const) {
              git(repository, "config", name, value)
            }
          }
          const diff = Option.getOrThrow(yield* workspaces.diff(id))
          assert.include(diff, "+changed")
          assert.isFalse(yield* fs.exists(planted))
          // Git as a user runs it there does run them.
          git(one, "add", "changed.txt")
          assert.isTrue(yield* fs.exists(planted))
        })
      )
    })
  )

  it.effect("any other folder is copied, links as they are; a shared one has to be allowed", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const root = yield* fs.makeTempDirectoryScoped()
      yield* fs.makeDirectory(`${root}/deep/er`, { recursive: true })
      yield* fs.writeFileString(`${root}/deep/er/run.sh`, "echo\n", { mode: 0o755 })
      yield* fs.symlink("deep/er", `${root}/link`)
      yield* fs.symlink("/etc/hostname", `${root}/outside`)
      execFileSync("mkfifo", [`${root}/pipe`])
      const roots = [
        { name: "notes", path: root },
        { name: "board", path: root, shared: true }
      ]
      yield* withRoots(
        roots,
        Effect.fnUntraced(function* ({ folder, workspaces }) {
          assert.deepStrictEqual(yield* workspaces.check({ name: "notes" }), { name: "notes", mode: "copy" })
          yield* workspaces.prepare(sessionId("one"), { name: "notes" })
          const one = folder("one")
          assert.deepStrictEqual((yield* fs.readDirectory(one)).toSorted(), ["deep", "link", "outside"])
          assert.strictEqual(yield* fs.readLink(`${one}/link`), "deep/er")
          assert.strictEqual(yield* fs.readLink(`${one}/outside`), "/etc/hostname")
          assert.strictEqual((yield* fs.stat(`${one}/deep/er/run.sh`)).mode & 0o777, 0o755)

          assert.strictEqual(workspaces.folderOf({ name: "board", mode: "shared" }), root)
          assert.isUndefined(workspaces.folderOf({ name: "board", mode: "copy" }))
          for (const [wanted, field, message] of [
            [{ name: "notes", mode: "shared" }, "mode", "the workspace cannot be had as shared: it can be had as copy"],
            [
              { name: "board", mode: "clone" },
              "mode",
              "the workspace cannot be had as clone: it can be had as copy, shared"
            ],
            [{ name: "board", ref: "main" }, "ref", "only a clone is of a branch, a tag or a commit"],
            [{ name: "other" }, "name", "no workspace of this name: the server has notes, board"]
          ] as const) {
            const { detail } = yield* Effect.flip(workspaces.check(wanted))
            assert.deepStrictEqual(detail, [{ loc: ["body", "workspace", field], msg: message, type: "value_error" }])
          }
        })
      )
    })
  )

  it.effect("a root that is no folder keeps the server from starting", () =>
    Effect.gen(function* () {
      const failed = yield* Effect.flip(withRoots([{ name: "shop", path: "/nowhere" }], () => Effect.void))
      assert.strictEqual(failed.message, "the workspace shop is not a folder: /nowhere")
    })
  )

  it.effect("an empty repository cannot be cloned, and the objects of a session go with it", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const [empty, root] = [yield* fs.makeTempDirectoryScoped(), yield* repository()]
      git(empty, "init", "--quiet")
      yield* withRoots(
        [
          { name: "empty", path: empty },
          { name: "shop", path: root }
        ],
        Effect.fnUntraced(function* ({ folder, workspaces }) {
          const refused = yield* Effect.flip(workspaces.prepare(sessionId("none"), { name: "empty" }))
          assert.strictEqual(refused._tag, "Invalid")
          for (const name of ["one", "two"]) yield* workspaces.prepare(sessionId(name), { name: "shop" })
          const alternates = (name: string) =>
            Effect.map(fs.readFileString(`${folder(name)}/.git/objects/info/alternates`), (text) => text.trim())
          const [one, two] = [yield* alternates("one"), yield* alternates("two")]
          yield* workspaces.close(sessionId("one"))
          assert.isFalse(yield* fs.exists(one))
          yield* workspaces.keepOnly(new Set())
          assert.isFalse(yield* fs.exists(two))
        })
      )
    })
  )
})
