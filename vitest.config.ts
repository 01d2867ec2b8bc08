import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"

// The many programs that tests start would each compile the same modules anew.
process.env["NODE_COMPILE_CACHE"] ??= fileURLToPath(new URL("node_modules/.cache/node", import.meta.url))

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    pool: "forks",
    maxWorkers: 3,
    // A test takes seconds; on a machine that has much else to do it may take minutes, and is right all the same.
    testTimeout: 240_000,
    hookTimeout: 240_000,
    teardownTimeout: 60_000,
    retry: 0,
    allowOnly: false
  }
})
