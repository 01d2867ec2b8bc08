/**
 * Names of uploaded files. They are a client's, so none of them is ever part of a path.
 */

/** The longest name, in characters. */
const maxLength = 128

/** Controls, marks that change the direction of the text, unpaired surrogates, and line separators. */
const unprintable = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu

/** The extension with its dot, if it is a short one of ASCII letters and digits; else an empty string. */
export const extension = (name: string): string => /.(\.[A-Za-z0-9]{1,16})$/.exec(name)?.[1] ?? ""

/** The name as an agent sees it: without folders, leading dots and unprintable characters, and of bounded length. */
export const clean = (name: string): string => {
  const base = name.slice(Math.max(name.lastIndexOf("/"), name.lastIndexOf("\\")) + 1)
  const printable = base
    .replaceAll(unprintable, "")
    .replace(/^[\s.]+/, "")
    .trimEnd()
  const ending = extension(printable)
  const stem = Array.from(printable.slice(0, printable.length - ending.length))
  return stem.slice(0, maxLength - ending.length).join("") + ending || "file"
}
