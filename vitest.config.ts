import { defineConfig } from "vitest/config"

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
