import { assert, describe, it } from "@effect/vitest"
import { ByteSize, Duration, Effect, Exit, Layer, Option, Scope, Stream } from "effect"
import { SessionIsClosed } from "../../../src/api/Api.ts"
import { SessionId } from "../../../src/api/schema/Ids.ts"
import { Uploads } from "../../../src/server/files/Uploads.ts"
import * as AgentPool from "../../../src/server/sessions/AgentPool.ts"
import { Agents } from "../../../src/server/sessions/Agents.ts"
import * as LocalSession from "../../../src/server/sessions/LocalSession.ts"
import { Ledger } from "../../../src/server/storage/Ledger.ts"
import * as Shutdown from "../../../src/server/upkeep/Shutdown.ts"
import { definition, Folder } from "./Support.ts"

const services = Layer.mergeAll(
  AgentPool.layer({ maxProcesses: 5 }),
  Shutdown.layer,
  Folder,
  Layer.mock(Ledger, {}),
  Layer.mock(Uploads, { maxSize: ByteSize.bytes(1) }),
  Layer.mock(Agents, {
    find: () => Option.none(),
    names: [],
    byDefault: Option.none(),
    open: () => Effect.never
  })
)

describe("LocalSession", () => {
  it.effect("a turn that finds its session stopped, and its process gone, says that it is closed", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const session = yield* Scope.provide(
        LocalSession.make({
          definition,
          sessionId: SessionId.make("a"),
          appId: 1,
          cwd: "/",
          model: null,
          effort: null,
          system: null
        }),
        scope
      )
      yield* session.stop
      yield* Scope.close(scope, Exit.void)
      const turn = session.turn({ prompt: "hello", files: [], timeout: Duration.minutes(1) }, Effect.never)
      assert.deepStrictEqual(yield* Effect.flip(Stream.runCollect(turn)), new SessionIsClosed())
    }).pipe(Effect.scoped, Effect.provide(services))
  )
})
