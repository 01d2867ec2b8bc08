/**
 * The handlers of the operator's endpoints: app tokens and metrics.
 */
import { Effect, Option } from "effect"
import type { HttpServerRequest } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import { Api } from "../../api/Api.ts"
import { bodyIssue, Invalid, TokenExists, TokenNotFound } from "../../api/Errors.ts"
import * as Tokens from "../../wire/Tokens.ts"
import { AppTokens } from "../access/AppTokens.ts"
import { Networks } from "../access/Networks.ts"
import { AgentPool } from "../agents/AgentPool.ts"
import * as Metrics from "../Metrics.ts"
import { SessionEngine } from "../sessions/SessionEngine.ts"
import * as StorageFailure from "../storage/StorageFailure.ts"
import { Sweeper } from "../upkeep/Sweeper.ts"
import * as JsonBody from "./JsonBody.ts"

const readMint = JsonBody.reader(Tokens.MintRequest)

/** Refuses a token that no address could use, and names each entry that is not a network. */
const checkNetworks = Effect.fnUntraced(function* (
  { parse }: Networks["Service"],
  cidrs: ReadonlyArray<string> | null
) {
  if (cidrs?.length === 0) {
    return yield* Invalid.body("ip_cidrs", "must name a network, or be null for a token that is good from anywhere")
  }
  const [, wrong] = yield* Effect.partition(cidrs ?? [], (cidr, index) =>
    Effect.mapError(parse([cidr]), () =>
      bodyIssue(["ip_cidrs", index], "must be a network, such as 10.0.0.0/8 or fd00::/8")
    )
  )
  if (wrong.length > 0) return yield* new Invalid({ detail: wrong })
})

export const layer = HttpApiBuilder.group(
  Api,
  "admin",
  Effect.fnUntraced(function* (handlers) {
    const engine = yield* SessionEngine
    const networks = yield* Networks
    const pool = yield* AgentPool
    const sweeper = yield* Sweeper
    const tokens = yield* AppTokens

    const mint = Effect.fnUntraced(function* ({ request }: { readonly request: HttpServerRequest.HttpServerRequest }) {
      const { ipCidrs = null, name } = (yield* readMint(request)).payload
      yield* checkNetworks(networks, ipCidrs)
      const token = yield* Effect.catchTag(
        tokens.mint(name, { ipCidrs: ipCidrs ?? undefined }),
        "TokenRefused",
        ({ message, reason }) => Effect.fail(reason === "taken" ? new TokenExists() : Invalid.body("name", message))
      )
      return { name, token, ipCidrs: ipCidrs ?? undefined }
    })
    return handlers.handleRaw("mint", mint).handleAll({
      tokens: Effect.fnUntraced(function* () {
        return {
          ok: true as const,
          tokens: (yield* tokens.list).map(({ ipCidrs, ...token }) => ({ ...token, ipCidrs: ipCidrs ?? undefined }))
        }
      }),
      revoke: Effect.fnUntraced(function* ({ params: { name } }) {
        const app = yield* tokens.remove(name)
        if (Option.isNone(app)) return yield* new TokenNotFound()
        // The token is gone, so a repeat would not find it: what cannot be removed now is left to the sweeps.
        yield* Effect.catch(sweeper.removeApp(app.value.id), StorageFailure.log)
        return { ok: true as const }
      }),
      metrics: Effect.fnUntraced(function* () {
        yield* Metrics.setOpenSessions(yield* engine.size)
        yield* Metrics.setSessions(yield* engine.states)
        yield* Metrics.setProcesses(yield* pool.size)
        return yield* PrometheusMetrics.format()
      })
    })
  })
)
