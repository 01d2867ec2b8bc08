/**
 * Unguessable random text.
 */

/** That many random bytes, in hexadecimal. The Web Crypto API is the one source that every runtime has. */
export const randomHex = (bytes: number): string =>
  Array.from(globalThis.crypto.getRandomValues(new Uint8Array(bytes)), (byte) =>
    byte.toString(16).padStart(2, "0")
  ).join("")
