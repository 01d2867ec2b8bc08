/**
 * Terminal output: colours and an animated status line on a terminal, plain lines in a pipe.
 */
import { Console, Context, Duration, Effect, Layer, Stdio, Stream, Terminal } from "effect"
import { TerminalCapabilities } from "effect/cli"

const codes = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, blue: 34, cyan: 36 } as const

export type Style = keyof typeof codes

export class Screen extends Context.Service<
  Screen,
  {
    /** Prints one line. */
    readonly line: (text: string) => Effect.Effect<void>
    /** Styles text if the terminal supports it. */
    readonly paint: (style: Style, text: string) => string
    /** Runs an effect with a status line that shows the elapsed time; prints nothing in a pipe. */
    readonly live: (label: string) => <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  }
>()("effect-clawdforge/cli/Screen") {}

const frames = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"]
const eraseLine = "\r\u001b[2K"

export const make = Effect.gen(function* () {
  const { canAnimate, canColor } = yield* TerminalCapabilities.TerminalCapabilities
  const stdio = yield* Stdio.Stdio
  const terminal = yield* Terminal.Terminal
  const write = (text: string) => Effect.ignore(Stream.run(Stream.make(text), stdio.stdout({ endOnDone: false })))

  const paint = (style: Style, text: string) => (canColor ? `\u001b[${codes[style]}m${text}\u001b[0m` : text)

  const draw = Effect.fnUntraced(function* (label: string) {
    for (let tick = 0; ; tick++) {
      const seconds = ((tick * 80) / 1000).toFixed(1)
      // A line that wraps cannot be erased.
      const room = Math.max(0, (yield* terminal.columns) - 3)
      yield* write(
        `${eraseLine}${frames[tick % frames.length]} ${paint("dim", `${label} ${seconds} s`.slice(0, room))}`
      )
      yield* Effect.sleep("80 millis")
    }
  })

  return Screen.of({
    line: (text) => Console.log(text),
    paint,
    live: (label) => (effect) =>
      canAnimate ? Effect.raceFirst(effect, draw(label)).pipe(Effect.ensuring(write(eraseLine))) : effect
  })
})

export const layer = Layer.effect(Screen, make)

/** Formats a duration for people. */
export const formatDuration = (duration: Duration.Duration): string => {
  const millis = Duration.toMillis(duration)
  return millis < 1000 ? `${Math.round(millis)} ms` : `${(millis / 1000).toFixed(1)} s`
}
