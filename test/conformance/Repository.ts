/**
 * What the suite knows of the workspaces of a server. It is written without a program, as git writes it.
 */
import { createHash } from "node:crypto"
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { deflateSync } from "node:zlib"

const readme = "# A workspace\n"

/** Makes a git repository with one commit on its branch `main`, and a folder that is none, below a folder. */
export const make = (folder: string) => {
  const [repository, board] = [join(folder, "repository"), join(folder, "board")]
  for (const each of [repository, board]) {
    mkdirSync(each, { recursive: true })
    writeFileSync(join(each, "README.md"), readme)
  }

  const git = join(repository, ".git")
  for (const each of ["objects", "refs/heads"]) mkdirSync(join(git, each), { recursive: true })
  /** Writes an object, and returns its name. */
  const write = (type: string, content: Buffer): string => {
    const object = Buffer.concat([Buffer.from(`${type} ${content.byteLength}\0`), content])
    const name = createHash("sha1").update(object).digest("hex")
    mkdirSync(join(git, "objects", name.slice(0, 2)), { recursive: true })
    writeFileSync(join(git, "objects", name.slice(0, 2), name.slice(2)), deflateSync(object))
    return name
  }
  const blob = write("blob", Buffer.from(readme))
  const tree = write("tree", Buffer.concat([Buffer.from("100644 README.md\0"), Buffer.from(blob, "hex")]))
  const who = "a <a@b> 1790000000 +0000"
  const commit = write("commit", Buffer.from(`tree ${tree}\nauthor ${who}\ncommitter ${who}\n\nfirst\n`))
  writeFileSync(join(git, "refs/heads/main"), `${commit}\n`)
  writeFileSync(join(git, "HEAD"), "ref: refs/heads/main\n")
  writeFileSync(join(git, "config"), "[core]\n\trepositoryformatversion = 0\n")
  return { repository, board }
}
