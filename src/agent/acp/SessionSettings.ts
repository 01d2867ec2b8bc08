/**
 * Sets the model and the effort of a session, by its config options, or by `session/set_model` where an agent has that
 * instead.
 */
import { type Duration, Effect, Predicate, Schema } from "effect"
import { type AgentFailed, AgentOptionRefused, type Choice } from "../Agent.ts"
import type { AgentConnection, RequestRefused } from "./AgentConnection.ts"

/** What an agent says of a session's settings when it opens it. */
export const Offered = Schema.Struct({
  configOptions: Schema.optionalKey(Schema.NullOr(Schema.Array(Schema.Unknown))),
  models: Schema.optionalKey(Schema.Unknown),
  modes: Schema.optionalKey(Schema.Unknown)
})
export type Offered = typeof Offered.Type

const ConfigOption = Schema.Struct({
  id: Schema.String,
  category: Schema.optionalKey(Schema.NullOr(Schema.String)),
  options: Schema.optionalKey(Schema.Unknown)
})
const isConfigOption = Schema.is(ConfigOption)
const name = Schema.optionalKey(Schema.Unknown)
const isChoice = Schema.is(Schema.Struct({ value: Schema.String, name }))
const isGroup = Schema.is(Schema.Struct({ options: Schema.Array(Schema.Unknown) }))
const isModels = Schema.is(Schema.Struct({ availableModels: Schema.Array(Schema.Unknown) }))
const isModel = Schema.is(Schema.Struct({ modelId: Schema.String, name }))
const isArray = Schema.is(Schema.Array(Schema.Unknown))

export interface Options {
  /** The agent's name, for error messages. */
  readonly name: string
  readonly connection: Pick<AgentConnection, "request">
  readonly sessionId: string
  readonly offered: Offered
  /** Whether the session was restored: some agents list their models only when they create one. */
  readonly isRestored: boolean
  readonly model?: string | undefined
  readonly effort?: string | undefined
  /** The time limit for each request. */
  readonly within: Duration.Duration
}

/** The config option's category for each setting; an option without a category is found by its id. */
const categories = { model: "model", effort: "thought_level", mode: "mode" } as const

type Category = keyof typeof categories
type Setting = "model" | "effort"

const maxChoices = 20
const maxChoiceLength = 100

/** The choices as the end of a sentence, bounded. */
const listOf = (choices: ReadonlyArray<string>): string => {
  const more = choices.length > maxChoices ? ` and ${choices.length - maxChoices} more` : ""
  const listed = choices.slice(0, maxChoices).map((choice) => choice.slice(0, maxChoiceLength))
  return choices.length === 0 ? "" : `; it has ${listed.join(", ")}${more}`
}

const toChoice = (id: string, name: unknown): Choice => ({ id, name: Predicate.isString(name) ? name : id })

/** The choices of a config option, which may be in groups. */
const choicesIn = ({ options }: typeof ConfigOption.Type): ReadonlyArray<Choice> =>
  (isArray(options) ? options : [])
    .flatMap((option) => (isGroup(option) ? option.options : [option]))
    .filter(isChoice)
    .map(({ name, value }) => toChoice(value, name))

const valuesOf = (config: typeof ConfigOption.Type): ReadonlyArray<string> => choicesIn(config).map(({ id }) => id)

const findOption = ({ configOptions }: Offered, setting: Category) => {
  const available = (configOptions ?? []).filter(isConfigOption)
  return (
    available.find(({ category }) => category === categories[setting]) ?? available.find(({ id }) => id === setting)
  )
}

/** What an agent offers for one of its settings. */
export const choicesOf = (offered: Offered, setting: Category): ReadonlyArray<Choice> => {
  const config = findOption(offered, setting)
  if (config !== undefined) return choicesIn(config)
  const { models } = offered
  if (setting !== "model" || !isModels(models)) return []
  return models.availableModels.filter(isModel).map(({ modelId, name }) => toChoice(modelId, name))
}

/** The protocol's error code for a method that an agent does not have. */
const methodNotFound = -32601

const noOption = (name: string, option: Setting) =>
  new AgentOptionRefused({ option, error: `Agent ${name} has no option for the ${option}.` })

/** Turns a refused request into a refusal of the value, with the choices. */
const refused =
  (name: string, option: Setting, value: string, choices: ReadonlyArray<string>) =>
  <A>(request: Effect.Effect<A, AgentFailed | RequestRefused>): Effect.Effect<A, AgentFailed | AgentOptionRefused> =>
    Effect.catchTag(request, "RequestRefused", ({ code, reason }) => {
      if (code === methodNotFound) return Effect.fail(noOption(name, option))
      const error = `Agent ${name} refused the ${option} ${value}: ${reason}${listOf(choices)}`
      return Effect.fail(new AgentOptionRefused({ option, error }))
    })

/** Sets one of the agent's models by `session/set_model`. */
const setModel = Effect.fnUntraced(function* (options: Options, modelId: string) {
  const { connection, name, sessionId, within } = options
  const { models } = options.offered
  const known = isModels(models) ? models.availableModels.filter(isModel).map(({ modelId }) => modelId) : undefined
  // Agents accept an unknown model here, and fail later.
  if (known !== undefined && !known.includes(modelId)) {
    const error = `Agent ${name} has no model ${modelId}${listOf(known)}`
    return yield* new AgentOptionRefused({ option: "model", error })
  }
  yield* connection
    .request({ method: "session/set_model", params: { sessionId, modelId }, answer: Schema.Unknown, within })
    .pipe(refused(name, "model", modelId, known ?? []))
})

/** Sets a config option, and returns those available afterwards, which may depend on the model. */
const setOption = Effect.fnUntraced(function* (
  { connection, name, sessionId, within }: Options,
  setting: Setting,
  value: string,
  config: typeof ConfigOption.Type
) {
  const answer = yield* connection
    .request({
      method: "session/set_config_option",
      params: { sessionId, configId: config.id, value },
      answer: Schema.NullOr(Offered),
      within
    })
    .pipe(refused(name, setting, value, valuesOf(config)))
  return answer?.configOptions
})

/** Sets the model first, since the available levels of effort may depend on it. */
export const apply = Effect.fnUntraced(function* (options: Options) {
  const { isRestored, name } = options
  let { offered } = options
  for (const setting of ["model", "effort"] as const) {
    const value = options[setting]
    if (value === undefined) continue
    const config = findOption(offered, setting)
    if (config !== undefined) {
      const configOptions = yield* setOption(options, setting, value, config)
      offered = { ...offered, configOptions: configOptions ?? offered.configOptions ?? [] }
    } else if (setting === "model" && (isModels(offered.models) || isRestored)) {
      yield* setModel(options, value)
    } else {
      return yield* noOption(name, setting)
    }
  }
})
