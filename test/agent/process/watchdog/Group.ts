/** Starts a process group such as an agent leaves behind. */
import { Effect, Stream } from "effect"
import { ChildProcess } from "effect/process"
import { groupOf } from "../../../../src/agent/process/watchdog/Processes.ts"

/** The leader of a group, and a child of it that has cleared its environment. */
export const startGroup = Effect.gen(function* () {
  const script = "env -i sleep 1000 >/dev/null 2>&1 & echo $!; read line"
  const leader = yield* ChildProcess.make("sh", ["-c", script], { detached: true, forceKillAfter: "100 millis" })
  const line = yield* leader.stdout.pipe(Stream.decodeText(), Stream.splitLines, Stream.take(1), Stream.mkString)
  return { group: groupOf(leader.pid), leader: Number(leader.pid), child: Number(line) }
})
