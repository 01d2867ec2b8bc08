/**
 * Where tests keep what a server would keep: nothing of it outlives them.
 */
import * as NodeCrypto from "@effect/platform-node/NodeCrypto"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Layer } from "effect"
import * as DataFolder from "../../../src/server/storage/DataFolder.ts"
import * as Migrations from "../../../src/server/storage/Migrations.ts"
import { Owner } from "../../../src/server/storage/Owner.ts"
import * as NodeSqlite from "../../../src/server/storage/NodeSqlite.ts"

/** A database with nothing in it. */
export const memory = NodeSqlite.layer({ filename: ":memory:" })

/** A server that owns its rows of a ledger. */
export const ownedBy = (id: string) => Layer.succeed(Owner, { id })

/** The database of a ledger, and a server of it. */
export const database = Migrations.layer.pipe(Layer.provideMerge(memory), Layer.merge(ownedBy("this")))

/** That, and a temporary data folder. */
export const storage = database.pipe(
  Layer.provideMerge(DataFolder.layer({})),
  Layer.provideMerge(Layer.merge(NodeServices.layer, NodeCrypto.layer))
)
