import { fileURLToPath } from "node:url"
import { configDefaults, defineConfig } from "vitest/config"

// The many programs that tests start would each compile the same modules anew.
process.env["NODE_COMPILE_CACHE"] ??= fileURLToPath(new URL("node_modules/.cache/node", import.meta.url))

/** Tests that start programs, build the package, crash servers, or wait for a real timeout: `npm run test:slow`. */
const slow = "test/**/*.slow.test.ts"

export default defineConfig({
  test: {
    projects: [
      {
        extends: true,
        test: { name: "quick", include: ["test/**/*.test.ts"], exclude: [...configDefaults.exclude, slow] }
      },
      { extends: true, test: { name: "slow", include: [slow] } }
    ],
    pool: "forks",
    maxWorkers: 3,
    // A test takes seconds, but may take minutes on a machine that has much else to do.
    testTimeout: 240_000,
    hookTimeout: 240_000,
    teardownTimeout: 60_000,
    retry: 0,
    allowOnly: false
  }
})
