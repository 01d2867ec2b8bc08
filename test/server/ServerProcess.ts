/**
 * A server of the fixtures, as a process that can be killed.
 */
import { Effect, Schema, Stream } from "effect"
import { ChildProcess } from "effect/process"
import { fileURLToPath } from "node:url"

const Hello = Schema.fromJsonString(Schema.Struct({ url: Schema.String, token: Schema.String }))

/** Starts one on a data folder, and waits until it listens; it is killed with the scope. */
export const start = Effect.fnUntraced(function* (fixture: "Server" | "KeyedServer", data: string) {
  const program = fileURLToPath(new URL(`./fixtures/${fixture}.ts`, import.meta.url))
  const server = yield* ChildProcess.make(process.execPath, [program, data], {
    stderr: "inherit",
    killSignal: "SIGKILL"
  })
  const line = yield* server.stdout.pipe(Stream.decodeText(), Stream.splitLines, Stream.take(1), Stream.mkString)
  const { token, url } = yield* Schema.decodeEffect(Hello)(line)
  return { url, token, pid: Number(server.pid), kill: Effect.ignore(server.kill({ killSignal: "SIGKILL" })) }
})
