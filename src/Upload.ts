/**
 * Files that an agent can read: uploaded once, and named by a token.
 */
import { type Brand, Redacted } from "effect"

/** Names an uploaded file. It is a secret: who has it can attach the file. It prints as `<redacted>`. */
export type FileToken = Redacted.Redacted & Brand.Brand<"FileToken">
