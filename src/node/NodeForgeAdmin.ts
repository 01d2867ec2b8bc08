/**
 * The administration for Node.
 *
 * **Example** (Which apps have a token)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ForgeAdmin } from "effect-clawdforge"
 * import { NodeForgeAdmin } from "effect-clawdforge/node"
 *
 * const names = ForgeAdmin.ForgeAdmin.use((admin) => admin.list).pipe(
 *   Effect.map((tokens) => tokens.map(({ name }) => name)),
 *   Effect.provide(NodeForgeAdmin.layerConfig()) // CLAWDFORGE_URL and CLAWDFORGE_ADMIN_TOKEN
 * )
 * ```
 */
import { type Config, Layer } from "effect"
import * as ForgeAdmin from "../ForgeAdmin.ts"
import type { ApiError } from "../ForgeError.ts"
import { type ConfigOptions, layerHttpClientWith, type Options } from "./NodeForgeClient.ts"

/** The administration of a server at an address. */
export const layer = (options: Options): Layer.Layer<ForgeAdmin.ForgeAdmin, ApiError<422>> =>
  Layer.provide(ForgeAdmin.layer(options), layerHttpClientWith(options))

/** The administration from configuration: by default from `CLAWDFORGE_URL` and `CLAWDFORGE_ADMIN_TOKEN`. */
export const layerConfig = (
  options?: ConfigOptions
): Layer.Layer<ForgeAdmin.ForgeAdmin, ApiError<422> | Config.ConfigError> =>
  Layer.provide(ForgeAdmin.layerConfig(options), layerHttpClientWith(options))
