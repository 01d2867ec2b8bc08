/**
 * Authenticates with an agent that requires it, and sends the refused request again.
 *
 * The credentials are in the agent's environment or in its own files: some agents use them only after `authenticate`. It is
 * sent once per process at most, and never for a method that opens a browser or a terminal, unless the agent's definition
 * names that method.
 */
import { type Duration, Effect, Schema } from "effect"
import type { AgentDefinition } from "../Agent.ts"
import * as AgentEnvironment from "../process/AgentEnvironment.ts"
import { type AgentConnection, authRequired, RequestRefused } from "./AgentConnection.ts"

const optional = <S extends Schema.Top>(schema: S) => Schema.optionalKey(Schema.NullOr(schema))

const Method = Schema.Struct({
  id: Schema.NonEmptyString,
  name: optional(Schema.String),
  description: optional(Schema.String),
  type: optional(Schema.String),
  vars: optional(Schema.Array(Schema.Struct({ name: Schema.String, optional: optional(Schema.Boolean) })))
})
const isMethod = Schema.is(Method)
const isArray = Schema.is(Schema.Array(Schema.Unknown))

/** The words by which a method says that a person has to do something. */
const interactive = /browser|oauth|log.?in|sign.?in|terminal/i

/** The variables that hold a method's credentials: those that its description names, and those named like its id. */
const credentialsOf = ({ description, id }: typeof Method.Type): ReadonlyArray<string> => {
  const named = (description ?? "").match(/\b[A-Z][A-Z0-9_]*_(?:KEY|TOKEN)\b/g) ?? []
  const like = id.toUpperCase().replaceAll(/[^A-Z0-9]+/g, "_")
  return [...named, ...(/_(?:KEY|TOKEN)$/.test(like) ? [like] : []), `${like}_API_KEY`]
}

/** Whether the environment has all that a method needs. */
const isReady = (method: typeof Method.Type, environment: AgentEnvironment.Environment): boolean => {
  const isSet = (name: string) => (environment[name] ?? "") !== ""
  const { description, id, name, type, vars } = method
  if (type === "env_var") {
    const variables = vars ?? []
    return (
      variables.some(({ name }) => isSet(name)) && variables.every((each) => each.optional === true || isSet(each.name))
    )
  }
  if ((type ?? "agent") !== "agent" || interactive.test(`${id} ${name} ${description}`)) return false
  return credentialsOf(method).some(isSet)
}

/** The first of an agent's methods that needs no person, given its environment. */
export const methodOf = (authMethods: unknown, environment: AgentEnvironment.Environment): string | undefined => {
  const methods = isArray(authMethods) ? authMethods.filter(isMethod) : []
  return methods.find((method) => isReady(method, environment))?.id
}

export interface Options {
  readonly definition: AgentDefinition
  readonly connection: AgentConnection
  /** The `authMethods` of the agent's response to `initialize`. */
  readonly authMethods: unknown
  /** The time limit for `authenticate`. */
  readonly within: Duration.Duration
}

/** A connection that authenticates when the agent first refuses a request for want of it. */
export const withAuthentication = ({ authMethods, connection, definition, within }: Options): AgentConnection => {
  const methodId = definition.authMethod ?? methodOf(authMethods, AgentEnvironment.make(definition))
  if (methodId === undefined) return connection
  let isSent = false

  const authenticate = Effect.fnUntraced(function* (refusal: RequestRefused) {
    // An agent that has reported something has acted: the request must not be sent twice.
    const { afterReports, code } = refusal
    if (isSent || code !== authRequired || afterReports) return yield* refusal
    isSent = true
    yield* connection.request({ method: "authenticate", params: { methodId }, answer: Schema.Unknown, within }).pipe(
      // Its reason is more precise than that of the request: a wrong key, and not merely that one is needed.
      Effect.catchTag("RequestRefused", ({ reason }) => Effect.fail(new RequestRefused({ code, afterReports, reason })))
    )
  })

  return {
    ...connection,
    request: (request) =>
      connection
        .request(request)
        .pipe(
          Effect.catchTag("RequestRefused", (refusal) =>
            Effect.andThen(authenticate(refusal), connection.request(request))
          )
        )
  }
}
