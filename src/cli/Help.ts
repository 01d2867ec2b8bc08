/**
 * Prints help on request, and one sentence on standard error for a misuse.
 */
import { Console, Effect, Layer } from "effect"
import { CliConfig, CliOutput, GlobalFlag, type HelpDoc, TerminalCapabilities } from "effect/cli"

const formatter = Effect.map(TerminalCapabilities.TerminalCapabilities, ({ canColor }) =>
  CliOutput.defaultFormatter({ colors: canColor, globalFlags: "summary" })
)

const commandsOf = ({ subcommands = [] }: HelpDoc.HelpDoc) =>
  subcommands.flatMap(({ commands }) => commands.map(({ name }) => name))

/** Prints one line on standard error. */
const reportMisuse = (commandPath: ReadonlyArray<string>, message: string) => {
  const line = message.replaceAll("\n\n", ". ").replaceAll(/\s+/g, " ")
  return Console.error(`forge: ${line} (${commandPath.join(" ")} --help shows all)`)
}

const present = Effect.fnUntraced(function* (event: CliOutput.Presenter.Event) {
  const { formatCliError } = yield* CliOutput.Formatter
  if (event._tag === "InvalidInvocation") {
    // Only the first of several errors is reported: the others may follow from it.
    return yield* reportMisuse(event.commandPath, event.errors.slice(0, 1).map(formatCliError).join(""))
  }
  if (event._tag === "Help" && event.reason === "Implicit") {
    return yield* reportMisuse(event.commandPath, `Missing command. Expected: ${commandsOf(event.helpDoc).join(" | ")}`)
  }
  return yield* CliOutput.defaultPresenter.present(event)
})

export const layer = Layer.mergeAll(
  CliConfig.layer({ builtIns: [GlobalFlag.Help, GlobalFlag.Version, GlobalFlag.Completions, GlobalFlag.LogLevel] }),
  CliOutput.layerPresenter({ present }),
  Layer.effect(CliOutput.Formatter, formatter)
)
