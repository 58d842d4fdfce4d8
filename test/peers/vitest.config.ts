import { join } from "node:path";
import { defineConfig } from "vitest/config";

// `npm run test:peers`: suites on real peers, one file after another, since each starts programs of its own.
export default defineConfig({
  root: join(import.meta.dirname, "../.."),
  test: {
    include: ["test/peers/**/*.test.ts"],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    teardownTimeout: 30_000,
    fileParallelism: false,
    maxConcurrency: 12, // what runs side by side in a file waits for its peers
  },
});
