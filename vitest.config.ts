import { defineConfig } from "vitest/config";

// `npm test` runs everything that needs Node alone. The peers' suite has its own configuration: test/peers/vitest.config.ts.
export default defineConfig({
  test: {
    include: ["**/*.test.ts"],
    exclude: ["node_modules/**", "dist/**", "test/peers/**"],
    testTimeout: 20_000,
    hookTimeout: 20_000,
    maxWorkers: 3, // scenarios wait more than they work
  },
});
