/**
 * A server, and keyed calls to it.
 */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { Context, Effect, FileSystem, Layer } from "effect"
import type * as ForgeServer from "../../../src/server/ForgeServer.ts"
import { type App, eventsIn, serve } from "../Support.ts"
import { eventually } from "../../support/Eventually.ts"

export const make = Effect.fnUntraced(function* (options: Partial<ForgeServer.Options>) {
  const fs = yield* FileSystem.FileSystem
  const data = yield* fs.makeTempDirectoryScoped()
  const server = yield* serve({ data, maxOpenSessions: 40, ...options })
  return { data, mint: server.mint, app: yield* server.mint("app") }
}, Effect.provide(NodeFileSystem.layer))

export class Shared extends Context.Service<Shared, Effect.Success<ReturnType<typeof make>>>()("test/KeyedCalls") {
  static readonly layer = Layer.effect(Shared, make({}))
}

export const post = (app: App, path: string, key: string, body: unknown) =>
  app.request("POST", path, { body, headers: { "idempotency-key": key } })

export const turn = (app: App, id: string, key: string, body: unknown) => post(app, `/sessions/${id}/turn`, key, body)

/** The stop reasons of a session's turns, once the ledger has so many. */
export const stopsOf = (data: string, id: string, count: number) =>
  Effect.sync(() =>
    eventsIn(data, id).flatMap(({ detail, kind }) =>
      kind === "turn" ? [/"stop_reason":"(\w+)"/.exec(detail ?? "")?.[1]] : []
    )
  ).pipe(eventually(`${count} turns in the ledger`, (stops) => stops.length >= count))
