/**
 * The `forge` command.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, Layer, Logger } from "effect"
import { Command } from "effect/cli"
import { clientInfo } from "../agent/acp/ClientInfo.ts"
import * as Demo from "./Demo.ts"
import * as Failure from "./Failure.ts"
import * as Help from "./Help.ts"
import * as Output from "./Output.ts"
import * as ParentWatch from "./ParentWatch.ts"
import * as Screen from "./Screen.ts"
import * as Serve from "./Serve.ts"

const forge = Command.make("forge").pipe(
  Command.withDescription("Coding-agent sessions over HTTP"),
  Command.withSubcommands([Demo.command, Serve.command])
)

/** Logs go to standard error, so that standard output has only results. */
const logs = Logger.layer([Logger.withConsoleError(Logger.formatLogFmt)])

const services = Screen.layer.pipe(Layer.provideMerge(NodeServices.layer), Layer.merge(logs), Layer.merge(Help.layer))

// When the terminal closes, shut down gracefully; the default action would kill the process at once.
process.once("SIGHUP", () => process.kill(process.pid, "SIGTERM"))

Command.run(forge, { version: clientInfo.version }).pipe(
  ParentWatch.interruptOnParentExit,
  Output.interruptOnClose,
  Effect.tapCause(Failure.report),
  Effect.provide(services),
  NodeRuntime.runMain({ disableErrorReporting: true, teardown: Failure.teardown })
)
