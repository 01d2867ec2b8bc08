/**
 * Whether a server is alive, and what it can do.
 *
 * It needs no token, so it shows whether the address is right before the token matters.
 *
 * **Example** (Waiting until a server is there)
 *
 * ```ts
 * import { Effect, Schedule } from "effect"
 * import { Forge } from "effect-clawdforge"
 *
 * const version = Forge.health.pipe(
 *   Effect.retry(Schedule.spaced("1 second").pipe(Schedule.upTo({ duration: "1 minute" }))),
 *   Effect.map((health) => health.claudeVersion)
 * )
 * ```
 */
import type { Schema } from "effect"
import * as Wire from "./wire/Health.ts"

export type { HealthEncoded } from "./wire/Health.ts"

/** Liveness, versions, and what the server adds to the contract. A field is undefined where the server does not say. */
export type Health = Wire.Health

/** The codec of a health. */
export const Health: Schema.Codec<Health, Wire.HealthEncoded> = Wire.health
