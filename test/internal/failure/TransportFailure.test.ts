/**
 * Errors that prove that a request was not sent, and errors that only look like it.
 */
import { assert, describe, it } from "@effect/vitest"
import { HttpClientError, HttpClientRequest, HttpClientResponse } from "effect/http"
import { Effect } from "effect"
import { inPage } from "../../support/Page.ts"
import * as Transport from "../../../src/internal/failure/TransportFailure.ts"

const request = HttpClientRequest.post("http://127.0.0.1:8800/run")
const call = { operation: "Forge.run", method: "POST", path: "/run" }

const failure = (fields: object, message = "it failed") => Object.assign(new Error(message), fields)

const classify = (cause: unknown) =>
  Transport.fromHttpClientError(
    new HttpClientError.HttpClientError({ reason: new HttpClientError.TransportError({ request, cause }) }),
    { call, origin: "http://127.0.0.1:8800", priorRefused: false }
  )

const refused = failure({ code: "ECONNREFUSED", syscall: "connect" })
const unreachable = failure({ code: "ENETUNREACH", syscall: "connect" })
const slowConnect = failure({ code: "ETIMEDOUT", syscall: "connect" })
const slowRead = failure({ code: "ETIMEDOUT", syscall: "read" })
const reset = failure({ code: "ECONNRESET", syscall: "read" })
const otherSide = failure({ code: "UND_ERR_SOCKET" }, "other side closed")

const notSent: Record<string, unknown> = {
  "a refused connection": refused,
  "no such host": failure({ code: "ENOTFOUND", syscall: "getaddrinfo" }),
  "a name server that does not answer": failure({ code: "EAI_AGAIN", syscall: "getaddrinfo" }),
  "a network that cannot be reached, at connect": unreachable,
  "a reset at connect": failure({ code: "ECONNRESET", syscall: "connect" }),
  "a timeout at connect": slowConnect,
  "undici's own timeout at connect": failure({ code: "UND_ERR_CONNECT_TIMEOUT" }),
  "each address of a name in its own way": failure({
    code: "ECONNREFUSED",
    errors: [refused, slowConnect, unreachable]
  }),
  "each address of a name, without a code": failure({ errors: [refused, refused] }),
  "undici's timeout over each address": failure({
    code: "UND_ERR_CONNECT_TIMEOUT",
    cause: failure({ code: "ETIMEDOUT", errors: [slowConnect, refused] })
  }),
  "what fetch wraps": new TypeError("fetch failed", { cause: refused }),
  "a self-signed certificate": failure({ code: "DEPTH_ZERO_SELF_SIGNED_CERT" }),
  "a connection that ends before TLS": failure(
    { code: "ECONNRESET" },
    "Client network socket disconnected before secure TLS connection was established"
  )
}

const unknown: Record<string, unknown> = {
  "a reset at reading": reset,
  "a reset that does not say where": failure({ code: "ECONNRESET" }),
  "a timeout at reading": slowRead,
  "a timeout that does not say where": failure({ code: "ETIMEDOUT" }),
  "a pipe that broke at writing": failure({ code: "EPIPE", syscall: "write" }),
  "a host that became unreachable at reading": failure({ code: "EHOSTUNREACH", syscall: "read" }),
  "the other side closing a connection that was kept": otherSide,
  "the other side closing, while another connection is refused": failure(
    { code: "UND_ERR_SOCKET", cause: refused },
    "other side closed"
  ),
  "one address refused, another broken later": failure({ errors: [refused, reset] }),
  "no address at all": failure({ errors: [] }),
  "undici's timeout for headers": failure({ code: "UND_ERR_HEADERS_TIMEOUT" }),
  "undici's timeout for a body": failure({ code: "UND_ERR_BODY_TIMEOUT" }),
  "an aborted request": failure({ code: "UND_ERR_ABORTED" }),
  "a client that was destroyed": failure({ code: "UND_ERR_DESTROYED" }),
  "a TLS record that is none, at any time": failure({ code: "ERR_SSL_WRONG_VERSION_NUMBER" }),
  "what fetch wraps, of a reset": new TypeError("fetch failed", { cause: otherSide }),
  "an error without a code": new Error("socket hang up"),
  "a cause that is text": "ECONNREFUSED",
  "a code that is a number": { code: 111 },
  "no cause": undefined
}

describe("a request is known not to be sent", () => {
  for (const [name, cause] of Object.entries(notSent)) {
    it(name, () => {
      const error = classify(cause)
      assert.strictEqual(error.outcome, "not-sent")
      assert.strictEqual(error.reason._tag, "Connect")
      assert.isAtMost(error.message.length, 200)
    })
  }
})

describe("a fetch without a response, in a browser", () => {
  const page = "http://localhost:3000"
  const messages = {
    Chromium: "Failed to fetch",
    Firefox: "NetworkError when attempting to fetch resource.",
    Safari: "Load failed"
  }
  const sentence =
    "the browser shows no answer of http://127.0.0.1:8800: is a clawdforge server running there, and does it allow this " +
    `page (CORS: --cors-origin ${page}, or propagateTrace: false if it refuses traceparent)?`

  for (const [name, message] of Object.entries(messages)) {
    it.effect(`may be CORS, in ${name}: the message says what the server needs, and the outcome is unknown`, () =>
      Effect.sync(() => {
        const { message: said, outcome, reason } = classify(new TypeError(message))
        assert.deepStrictEqual([said, outcome, reason._tag], [sentence, "unknown", "Reset"])
      }).pipe(inPage(page))
    )
  }

  const broke = "the connection to http://127.0.0.1:8800 broke before the answer was whole"

  it.effect("of its own server is not CORS, nor is any other failure", () =>
    Effect.gen(function* () {
      yield* Effect.sync(() => assert.strictEqual(classify(new TypeError(messages.Safari)).message, broke)).pipe(
        inPage("http://127.0.0.1:8800")
      )
      yield* Effect.sync(() => {
        assert.strictEqual(classify(new TypeError("Failed to execute 'fetch'")).message, broke)
        assert.strictEqual(classify(new Error(messages.Chromium)).message, broke)
      }).pipe(inPage(page))
    })
  )

  it("is not CORS outside of a browser", () => {
    assert.strictEqual(classify(new TypeError(messages.Chromium)).message, broke)
  })
})

describe("the outcome of a request is unknown", () => {
  for (const [name, cause] of Object.entries(unknown)) {
    it(name, () => {
      const error = classify(cause)
      assert.strictEqual(error.outcome, "unknown")
      assert.strictEqual(error.reason._tag, "Reset")
      assert.isAtMost(error.message.length, 200)
    })
  }

  it("whose answer had begun, however it broke off", () => {
    const response = HttpClientResponse.fromWeb(request, new Response("{"))
    const reason = new HttpClientError.DecodeError({ request, response, cause: refused })
    const error = Transport.fromHttpClientError(new HttpClientError.HttpClientError({ reason }), {
      call,
      origin: "http://a",
      priorRefused: false
    })
    assert.strictEqual(error.outcome, "unknown")
  })

  it("whose causes are cyclic", () => {
    const circle = failure({})
    circle.cause = circle
    assert.strictEqual(classify(circle).outcome, "unknown")
  })
})
