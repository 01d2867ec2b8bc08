/**
 * Cross-origin access: no web page may use the server, except from the origins that the operator allows.
 */
import { Layer } from "effect"
import { HttpMiddleware, HttpRouter } from "effect/http"

export interface Options {
  /** Origins such as `https://app.example`; none if not given. */
  readonly corsOrigins?: ReadonlyArray<string> | undefined
}

export const layer = ({ corsOrigins = [] }: Options) => {
  if (corsOrigins.length === 0) return Layer.empty
  const origins = new Set(corsOrigins)
  return HttpRouter.middleware(
    HttpMiddleware.cors({
      allowedOrigins: (origin) => origins.has(origin),
      allowedMethods: ["GET", "POST", "DELETE"],
      allowedHeaders: ["authorization", "content-type", "idempotency-key", "x-request-id"],
      exposedHeaders: ["x-request-id", "retry-after"],
      maxAge: 600
    }),
    { global: true }
  )
}
