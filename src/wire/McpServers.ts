/**
 * MCP servers of the caller's, which a session's agent may call.
 */
import { Record, Redacted, Schema, SchemaGetter } from "effect"
import { RedactedText } from "./Ids.ts"

/** An MCP server over HTTP. */
export interface McpServer {
  /** 1 to 64 letters, digits, `_` and `-`, by which the agent names its tools. */
  readonly name: string
  /** `http:` or `https:`, of a host that the server's operator allows. */
  readonly url: string
  /** Sent with each request to it, such as `authorization`. */
  readonly headers?: { readonly [name: string]: Redacted.Redacted } | undefined
}

const Name = Schema.String.check(
  Schema.isPattern(/^[a-zA-Z0-9_-]{1,64}$/u, { message: "must be 1 to 64 letters, digits, _ or -" })
)

const isHttp = (text: string): boolean => text.length <= 2_048 && /^https?:$/.test(URL.parse(text)?.protocol ?? "")

const Url = Schema.String.check(Schema.makeFilter(isHttp, { message: "must be an http: or https: URL" }))

const isHeaderName = (name: string): boolean => /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/.test(name)

const HeaderValue = Schema.String.check(
  Schema.isPattern(/^[\x20-\x7e]{0,8192}$/u, { message: "must be at most 8,192 printable ASCII characters" })
)

const maxHeaders = 32

const Headers = Schema.Record(Schema.String, HeaderValue).check(
  Schema.makeFilter((headers) => Object.keys(headers).every(isHeaderName), {
    message: "must have names of headers"
  }),
  Schema.makeFilter((headers) => Object.keys(headers).length <= maxHeaders, {
    message: `must not have more than ${maxHeaders}`
  })
)

const Server = Schema.Struct({ name: Name, url: Url, headers: Schema.optionalKey(Headers) }).annotate({
  identifier: "McpServer"
})

/** The most of one session. */
const maxServers = 16

/** As they are on the wire, where all is checked: an issue has the names that the body has. */
const Sent = Schema.Array(Server).check(
  Schema.makeFilter((servers) => servers.length <= maxServers, { message: `must not be more than ${maxServers}` }),
  Schema.makeFilter((servers) => new Set(servers.map(({ name }) => name)).size === servers.length, {
    message: "must have a name of its own each"
  })
)

const Given = Schema.Array(
  Schema.Struct({
    name: Schema.String,
    url: Schema.String,
    headers: Schema.optionalKey(Schema.Record(Schema.String, RedactedText))
  })
)

interface Of<A> {
  readonly name: string
  readonly url: string
  readonly headers?: { readonly [name: string]: A }
}

const mapHeaders =
  <A, B>(change: (value: A) => B) =>
  ({ headers, name, url }: Of<A>): Of<B> => ({
    name,
    url,
    ...(headers === undefined ? {} : { headers: Record.map(headers, change) })
  })

/** The MCP servers of a session, for servers that name `mcp_servers`. */
export const McpServers = Sent.pipe(
  Schema.decodeTo(Given, {
    decode: SchemaGetter.transform((servers: typeof Sent.Type) =>
      servers.map(mapHeaders((value: string) => Redacted.make(value, { label: "header" })))
    ),
    encode: SchemaGetter.transform((servers: typeof Given.Type) =>
      servers.map(mapHeaders((value: Redacted.Redacted) => Redacted.value(value)))
    )
  })
)
export type McpServers = typeof McpServers.Type
