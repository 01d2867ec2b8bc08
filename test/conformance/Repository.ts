/**
 * What the suite knows of the workspaces of a server.
 */
import { execFileSync } from "node:child_process"
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"

/** Makes a git repository with a branch `main`, and a folder that is none, below a folder. */
export const make = (folder: string) => {
  const [repository, board] = [join(folder, "repository"), join(folder, "board")]
  for (const each of [repository, board]) {
    mkdirSync(each, { recursive: true })
    writeFileSync(join(each, "README.md"), "# A workspace\n")
  }
  const git = (...args: ReadonlyArray<string>) =>
    execFileSync("git", ["-c", "user.name=a", "-c", "user.email=a@b", ...args], { cwd: repository })
  git("init", "--quiet", "--initial-branch=main")
  git("add", ".")
  git("commit", "--quiet", "-m", "first")
  return { repository, board }
}
