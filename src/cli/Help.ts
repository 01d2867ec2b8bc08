/**
 * What the command says about its own use: help where it was asked for, and one sentence where it was used wrongly.
 */
import { Console, Effect, Layer } from "effect"
import { CliConfig, CliOutput, GlobalFlag, type HelpDoc, TerminalCapabilities } from "effect/cli"

const formatter = Effect.map(TerminalCapabilities.TerminalCapabilities, ({ canColor }) =>
  CliOutput.defaultFormatter({ colors: canColor, globalFlags: "summary" })
)

const commandsOf = ({ subcommands = [] }: HelpDoc.HelpDoc) =>
  subcommands.flatMap(({ commands }) => commands.map(({ name }) => name))

/** One line on standard error: standard output is for what was asked for. */
const misused = (commandPath: ReadonlyArray<string>, what: string) => {
  const line = what.replaceAll("\n\n", ". ").replaceAll(/\s+/g, " ")
  return Console.error(`forge: ${line} (${commandPath.join(" ")} --help shows all)`)
}

const present = Effect.fnUntraced(function* (event: CliOutput.Presenter.Event) {
  const { formatCliError } = yield* CliOutput.Formatter
  if (event._tag === "InvalidInvocation") {
    // Only the first of several mistakes is told: the others may follow from it.
    return yield* misused(event.commandPath, event.errors.slice(0, 1).map(formatCliError).join(""))
  }
  if (event._tag === "Help" && event.reason === "Implicit") {
    return yield* misused(event.commandPath, `Missing command. Expected: ${commandsOf(event.helpDoc).join(" | ")}`)
  }
  return yield* CliOutput.defaultPresenter.present(event)
})

export const layer = Layer.mergeAll(
  CliConfig.layer({ builtIns: [GlobalFlag.Help, GlobalFlag.Version, GlobalFlag.Completions, GlobalFlag.LogLevel] }),
  CliOutput.layerPresenter({ present }),
  Layer.effect(CliOutput.Formatter, formatter)
)
