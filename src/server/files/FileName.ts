/**
 * Names of uploaded files. They come from outside, so none of them is ever part of a path.
 */

/** As many characters as a name may have. */
const longest = 128

/** Nothing that prints: controls, marks that turn the direction of the text, halves of a character, ends of lines. */
const unprintable = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu

/** A short extension of plain letters and digits, with its dot, where the name ends in one. */
export const extension = (name: string): string => /.(\.[A-Za-z0-9]{1,16})$/.exec(name)?.[1] ?? ""

/** The name as an agent may see it: without its folders, in printable characters, not hidden, and of bounded length. */
export const clean = (name: string): string => {
  const base = name.slice(Math.max(name.lastIndexOf("/"), name.lastIndexOf("\\")) + 1)
  const printable = base
    .replaceAll(unprintable, "")
    .replace(/^[\s.]+/, "")
    .trimEnd()
  const ending = extension(printable)
  const stem = Array.from(printable.slice(0, printable.length - ending.length))
  return stem.slice(0, longest - ending.length).join("") + ending || "file"
}
