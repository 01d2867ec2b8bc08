/**
 * The requests of WIRE.md as programs of all ages write them, byte for byte.
 */
import { Effect } from "effect"
import { strict as assert } from "node:assert"
import type { Case, Group } from "./Case.ts"
import * as Expect from "./Expect.ts"
import * as Form from "../support/Form.ts"
import * as Http from "../support/Http.ts"
import { App, Server, lastAnswer } from "./Server.ts"

const lines = (...lines: ReadonlyArray<string>) => lines.map((line) => `${line}\r\n`).join("")

/** Sends a request, its headers as they are given, and gives the answer. */
const send = Effect.fnUntraced(function* (head: ReadonlyArray<string>, ...body: ReadonlyArray<string>) {
  const { url } = yield* Server
  return lastAnswer(yield* Http.exchange(url, `${lines(...head)}\r\n${body[0] ?? ""}`, ...body.slice(1)))
})

const headers = Effect.gen(function* () {
  const { url } = yield* Server
  const { token } = yield* App
  return {
    host: `Host: ${new URL(url).host}`,
    bearer: `Authorization: Bearer ${token}`,
    close: "Connection: close"
  }
})

const length = (body: string) => `Content-Length: ${Buffer.byteLength(body)}`

/** `curl` with `-d` and a content type, or without. */
const curl = Effect.fnUntraced(function* (request: string, body?: string, type = "application/json") {
  const { bearer, close, host } = yield* headers
  const head = [`${request} HTTP/1.1`, host, "User-Agent: curl/8.5.0", "Accept: */*", bearer, close]
  return body === undefined ? yield* send(head) : yield* send([...head, `Content-Type: ${type}`, length(body)], body)
})

const needs = ["socket", "demo"] as const

const conversation: Case = {
  title: "a conversation typed into curl: create, turn, state, list without include_closed, close",
  needs,
  test: Effect.gen(function* () {
    const { agent } = yield* Server
    const created = yield* curl("POST /sessions", `{"agent": "${agent}", "meta": {"ticket": 4711}, "model": null}`)
    const { session_id: id } = Expect.answer(created, 200, { ok: true, agent })
    const turn = yield* curl(
      `POST /sessions/${String(id)}/turn`,
      '{"timeout_secs": 60, "files": [], "prompt": "/echo caf\\u00e9", "stream": false, "temperature": 0.5}'
    )
    assert.equal(Expect.textOf(Expect.turn(turn)), "café")
    Expect.answer(yield* curl(`GET /sessions/${String(id)}`), 200, {
      live: true,
      turn_count: 1,
      meta: { ticket: 4711 }
    })
    const { sessions } = Expect.answer(yield* curl("GET /sessions"), 200, { ok: true })
    assert(Expect.records(sessions).some(({ session_id }) => session_id === id))
    Expect.answer(yield* curl(`DELETE /sessions/${String(id)}`), 200, { ok: true })
    const closed = yield* curl("GET /sessions")
    assert(Expect.records(Expect.json(closed)["sessions"]).some(({ session_id }) => session_id === id))
  })
}

const runs: Case = {
  title: "a run with no optional fields, with each as null, in any order, with unknown fields",
  needs,
  test: Effect.gen(function* () {
    for (const body of [
      '{"prompt":"/echo ok"}',
      '{"prompt": "/echo ok", "model": null, "system": null, "system_mode": null, "effort": null, "files": null, "timeout_secs": null}',
      '{"timeout_secs":120,"system_mode":"append","model":null,"prompt":"/echo ok"}',
      '\r\n\t{ "unknown" : {"prompt": 1}, "prompt" : "/echo ok" , "max_turns": 3 }\n'
    ]) {
      Expect.answer(yield* curl("POST /run", body), 200, { result: "ok" })
    }
  })
}

const uploads: Case = {
  title: "curl -F file=@notes.txt -F ttl_secs=600, with Expect: 100-continue as curl sends it for large ones",
  needs: ["socket"],
  test: Effect.gen(function* () {
    const { bearer, close, host } = yield* headers
    const body = Form.body(Form.file("hello"), Form.field("ttl_secs", "600"))
    const head = ["POST /files HTTP/1.1", host, "User-Agent: curl/7.64.0", "Accept: */*", bearer, length(body), close]
    const type = `Content-Type: ${Form.contentType}`
    Expect.answer(yield* send([...head, type], body), 200, { ttl_secs: 600, size: 5 })
    const { url } = yield* Server
    const text = yield* Http.exchange(url, `${lines(...head, type, "Expect: 100-continue")}\r\n`, body)
    assert.match(text, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 /)
    Expect.answer(lastAnswer(text), 200, { ttl_secs: 600, size: 5 })
  })
}

export const OldClients: Group = {
  name: "Old clients' bytes",
  cases: [
    conversation,
    runs,
    uploads,
    {
      title: "curl of every admin endpoint",
      needs: ["socket", "admin", "ours"],
      test: Effect.gen(function* () {
        const server = yield* Server
        const { close, host } = yield* headers
        const app = yield* App
        const bearer = `authorization: Bearer ${server.adminToken}`
        const name = `${app.name}-curl`
        const body = `{"ip_cidrs": null, "name": "${name}", "note": "x"}`
        const mint = [
          "POST /admin/tokens HTTP/1.1",
          host,
          bearer,
          close,
          "Content-Type: application/json",
          length(body)
        ]
        Expect.answer(yield* send(mint, body), 200, { name, ip_cidrs: null })
        Expect.answer(yield* send(["GET /admin/tokens HTTP/1.1", host, bearer, close]), 200, { ok: true })
        Expect.answer(yield* send([`DELETE /admin/tokens/${name} HTTP/1.1`, host, bearer, close]), 200, { ok: true })
      })
    },
    {
      title: "HTTP/1.0, as ab and old proxies speak it",
      needs: ["socket"],
      test: Effect.gen(function* () {
        const { bearer, host } = yield* headers
        Expect.answer(yield* send(["GET /healthz HTTP/1.0", host]), 200, { ok: Expect.isBoolean })
        Expect.answer(yield* send(["GET /sessions HTTP/1.0", host, bearer]), 200, { ok: true })
      })
    },
    {
      title: "the names of headers, and the word Bearer, in any case",
      needs: ["socket"],
      test: Effect.gen(function* () {
        const { token } = yield* App
        const { host } = yield* headers
        for (const authorization of [
          `authorization: Bearer ${token}`,
          `AUTHORIZATION: Bearer ${token}`,
          `aUTHORIZATION:Bearer ${token}`,
          `Authorization: bearer ${token}`,
          `Authorization: BEARER ${token}`
        ]) {
          const answer = yield* send(["GET /sessions HTTP/1.1", host.toLowerCase(), authorization, "CONNECTION: CLOSE"])
          assert.equal(answer.status, 200, authorization)
        }
      })
    },
    {
      title: "application/json with a charset, in any case, and other +json names of it",
      needs,
      test: Effect.gen(function* () {
        for (const type of ["application/json; charset=utf-8", "application/json;charset=UTF-8", "Application/JSON"]) {
          const answer = yield* curl("POST /run", '{"prompt":"/echo ok"}', type)
          Expect.answer(answer, 200, { result: "ok" })
        }
      })
    },
    {
      title: "a body in chunks, of any size, with trailers",
      needs,
      test: Effect.gen(function* () {
        const { bearer, close, host } = yield* headers
        const head = [
          "POST /run HTTP/1.1",
          host,
          bearer,
          close,
          "Content-Type: application/json",
          "Transfer-Encoding: chunked"
        ]
        const chunk = (text: string) => `${Buffer.byteLength(text).toString(16)};name=value\r\n${text}\r\n`
        const body = '{"prompt":"/echo chunks é"}'.replaceAll(/[^]/gu, chunk)
        Expect.answer(yield* send(head, `${body}0\r\nX-Trailer: 1\r\n\r\n`), 200, { result: "chunks é" })
      })
    },
    {
      title: "a GET and a DELETE that say what a body they do not have is of",
      needs: ["socket"],
      test: Effect.gen(function* () {
        const { bearer, close, host } = yield* headers
        const id = yield* (yield* App).open()
        const none = [host, bearer, close, "Content-Type: application/json", "Content-Length: 0"]
        Expect.answer(yield* send([`GET /sessions/${id} HTTP/1.1`, ...none]), 200, { live: true })
        Expect.answer(yield* send([`DELETE /sessions/${id} HTTP/1.1`, ...none]), 200, { ok: true })
      })
    },
    {
      title: "a DELETE and a GET with a body, which counts for nothing",
      needs: ["socket"],
      test: Effect.gen(function* () {
        const id = yield* (yield* App).open()
        Expect.answer(yield* curl(`GET /sessions/${id}`, "{}"), 200, { live: true })
        Expect.answer(yield* curl(`DELETE /sessions/${id}`, '{"force": true}'), 200, { ok: true })
      })
    },
    {
      title: "one connection for many requests, also before the first is answered",
      needs: ["socket"],
      test: Effect.gen(function* () {
        const { url } = yield* Server
        const { bearer, close, host } = yield* headers
        const requests = [
          lines("GET /healthz HTTP/1.1", host, ""),
          lines("GET /sessions HTTP/1.1", host, bearer, ""),
          lines("GET /sessions/unknown HTTP/1.1", host, bearer, close, "")
        ]
        const statuses = (text: string) => [...text.matchAll(/HTTP\/1\.1 (\d+) /g)].map(([, status]) => status)
        assert.deepEqual(statuses(yield* Http.exchange(url, requests.join(""))), ["200", "200", "404"])
        assert.deepEqual(statuses(yield* Http.exchange(url, ...requests)), ["200", "200", "404"])
      })
    },
    {
      title: "include_closed as clients in other languages write true and false",
      needs: ["socket"],
      test: Effect.gen(function* () {
        for (const value of ["true", "false", "True", "False"]) {
          Expect.answer(yield* curl(`GET /sessions?include_closed=${value}`), 200, { ok: true })
          Expect.answer(yield* curl(`GET /sessions?limit=5&include_closed=${value}&x`), 200, { ok: true })
        }
      })
    },
    {
      title: "a whole address as the target of a request, as proxies write it",
      needs: ["socket"],
      test: Effect.gen(function* () {
        const { url } = yield* Server
        const { bearer, close, host } = yield* headers
        Expect.answer(yield* send([`GET ${url}/sessions HTTP/1.1`, host, bearer, close]), 200, { ok: true })
      })
    }
  ]
}
