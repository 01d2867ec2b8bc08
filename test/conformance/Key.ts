/**
 * The key of a call that is to be done once.
 */
import { randomUUID } from "node:crypto"

/** A key, as the header of a request. */
export const key = (key: string = randomUUID()) => ({ "idempotency-key": key })
