import { assert, describe, it } from "@effect/vitest"
import { Api } from "../../src/api/Api.ts"
import * as Paths from "../../src/wire/Paths.ts"

describe("paths", () => {
  it("are spelled as a template, as a route, and for one value, which is encoded", () => {
    const route: "/sessions/:id/turn" = Paths.turn.route
    const path: `/sessions/${string}/turn` = Paths.turn.of("a/b $&")
    assert.deepStrictEqual(
      [Paths.turn.template, route, path],
      ["/sessions/{id}/turn", "/sessions/:id/turn", "/sessions/a%2Fb%20%24%26/turn"]
    )
    assert.strictEqual(Paths.token.route, "/admin/tokens/:name")
  })

  it("are those of the endpoints", () => {
    const endpoints = Object.values(Api.groups).flatMap((group) => Object.values(group.endpoints))
    const spelled = Object.values(Paths).flatMap((path) =>
      typeof path === "string" ? [path] : typeof path === "object" ? [path.route] : []
    )
    assert.sameMembers([...new Set(endpoints.map(({ path }) => path))], spelled)
  })

  it("give the id of the session that a URL is about", () => {
    const ids: Record<string, string | undefined> = {
      "/sessions/abc": "abc",
      "/sessions/abc?x=1": "abc",
      "/sessions/abc/": "abc",
      "/sessions/abc/turn?x=/y": "abc",
      "/sessions": undefined,
      "/sessions/": undefined,
      "/sessions/?a": undefined,
      "/sessionsabc": undefined,
      "/v1/sessions/abc": undefined
    }
    for (const [url, id] of Object.entries(ids)) assert.strictEqual(Paths.sessionIdIn(url), id, url)
  })

  it("distinguish a cancel from every other URL", () => {
    for (const url of ["/sessions/abc/cancel", "/sessions/a%20b/cancel?x"]) assert.isTrue(Paths.isCancel(url), url)
    for (const url of ["/sessions/cancel", "/sessions//cancel", "/sessions/a/cancel/", "/sessions/a/turn?/cancel"]) {
      assert.isFalse(Paths.isCancel(url), url)
    }
  })
})
