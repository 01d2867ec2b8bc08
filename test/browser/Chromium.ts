/**
 * A Chromium without a window, and a page in it with one module of TypeScript.
 */
import { Effect } from "effect"
import { existsSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { type Browser, chromium, type Page } from "playwright-core"
import { rolldown } from "rolldown"

/** Debian's. */
const executablePath = "/usr/bin/chromium"

/** A browser that ends with the scope. */
export const launch = Effect.acquireRelease(
  Effect.suspend(() =>
    existsSync(executablePath)
      ? Effect.promise(() => chromium.launch({ executablePath, args: ["--disable-gpu"] }))
      : Effect.die(`there is no ${executablePath}: install it with apt-get install --no-install-recommends chromium`)
  ),
  (browser) => Effect.promise(() => browser.close())
)

/** A module with all that it imports, for a browser. */
export const bundle = (input: string): Effect.Effect<string> =>
  Effect.promise(async () => {
    const built = await rolldown({ input, platform: "browser" })
    const { output } = await built.generate({ format: "esm" })
    await built.close()
    return output[0].code
  })

/** Serves a page that runs a module, and gives its origin. */
export const servePage = (code: string) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly origin: string; readonly close: () => void }>((resume) => {
      const server = createServer(({ url }, response) => {
        const [type, body] =
          url === "/page.js"
            ? ["text/javascript", code]
            : ["text/html", '<!doctype html><meta charset="utf-8"><script type="module" src="/page.js"></script>']
        response.writeHead(200, { "content-type": `${type}; charset=utf-8` }).end(body)
      })
      server.listen(0, "127.0.0.1", () => {
        // Boundary: Node types the address of a socket file, too.
        const { port } = server.address() as AddressInfo
        const close = () => {
          server.closeAllConnections()
          server.close()
        }
        resume(Effect.succeed({ origin: `http://127.0.0.1:${port}`, close }))
      })
    }),
    ({ close }) => Effect.sync(close)
  )

/** Opens a page in a browser. */
export const open = (browser: Browser, url: string): Effect.Effect<Page> =>
  Effect.promise(async () => {
    const page = await browser.newPage()
    await page.goto(url)
    return page
  })
