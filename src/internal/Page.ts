/**
 * The web page that a program runs in, if it runs in a browser.
 */

/** The origin of the page, or of the worker; undefined outside of a browser. */
export const origin = (): string | undefined => {
  // Boundary: a global that other runtimes do not have.
  const { location } = globalThis as { readonly location?: { readonly origin?: unknown } }
  return typeof location?.origin === "string" ? location.origin : undefined
}
