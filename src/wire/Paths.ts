/**
 * The paths of the contract. Each is spelled here once, and the client, the server and the documentation take it from
 * here.
 */

/** A template as a router spells it: `/sessions/:id`. */
type Route<Template extends string> = Template extends `${infer Before}{${infer Name}}${infer After}`
  ? `${Before}:${Name}${After}`
  : Template

/** A template with its parameter filled in. */
type Filled<Template extends string> = Template extends `${infer Before}{${string}}${infer After}`
  ? `${Before}${string}${After}`
  : Template

/** A path with one parameter. */
interface Parameterised<Template extends string> {
  /** As spans, errors and the documentation name it: `/sessions/{id}`. */
  readonly template: Template
  /** As a router spells it: `/sessions/:id`. */
  readonly route: Route<Template>
  /** The path for one value of the parameter, which was validated before. */
  readonly of: (value: string) => Filled<Template>
}

const parameterised = <const Template extends string>(template: Template): Parameterised<Template> => {
  const fill = (by: (name: string) => string) => template.replace(/\{(\w+)\}/, (_, name: string) => by(name))
  // Boundary: of the type checker, which does not look into `replace`.
  return {
    template,
    route: fill((name) => `:${name}`) as Route<Template>,
    of: (value) => fill(() => encodeURIComponent(value)) as Filled<Template>
  }
}

export const health = "/healthz"
export const ready = "/readyz"
export const metrics = "/metrics"
export const agents = "/agents"
export const run = "/run"
export const files = "/files"
export const sessions = "/sessions"
export const session = /* @__PURE__ */ parameterised("/sessions/{id}")
export const events = /* @__PURE__ */ parameterised("/sessions/{id}/events")
export const diff = /* @__PURE__ */ parameterised("/sessions/{id}/diff")
export const sessionFiles = /* @__PURE__ */ parameterised("/sessions/{id}/files")
export const fileContent = /* @__PURE__ */ parameterised("/sessions/{id}/files/content")
export const turn = /* @__PURE__ */ parameterised("/sessions/{id}/turn")
export const cancel = /* @__PURE__ */ parameterised("/sessions/{id}/cancel")
export const tokens = "/admin/tokens"
export const token = /* @__PURE__ */ parameterised("/admin/tokens/{name}")

/** The session that a URL is about, as it is spelled there, and what follows it: empty, or `/turn` for one. */
const inSession = (url: string): { readonly id: string; readonly rest: string } | undefined => {
  const [path = ""] = url.split("?", 1)
  if (!path.startsWith(`${sessions}/`)) return undefined
  const [id = "", ...rest] = path.slice(sessions.length + 1).split("/")
  return id === "" ? undefined : { id, rest: rest.map((segment) => `/${segment}`).join("") }
}

/** The id of the session that a URL is about, as it is spelled there. */
export const sessionIdIn = (url: string): string | undefined => inSession(url)?.id

/** Whether a URL is one of a route in sessions. */
const isOf = (route: string, url: string): boolean => {
  const found = inSession(url)
  return found !== undefined && session.route + found.rest === route
}

/** Whether a URL is one that files are sent to: that of uploads, or that of a file in a session. */
export const isUpload = (url: string): boolean => url.split("?", 1)[0] === files || isOf(fileContent.route, url)

/** Whether a URL is that of a cancel. */
export const isCancel = (url: string): boolean => isOf(cancel.route, url)
