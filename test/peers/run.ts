// `npm run test:peers [filter ...]`: builds the real peers' programs where they are not built yet, then runs the suites on them. What
// comes after `--` goes to vitest: filters by file name, `-t` by test name, `--reporter`.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { binaries } from "./harness/build.ts";

const root = join(import.meta.dirname, "../..");

try {
  for (const name of ["kube", "vsphere", "capi"] as const) await binaries(name, (line) => console.log(line));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
}

const vitest = join(root, "node_modules/vitest/vitest.mjs");
const config = join(import.meta.dirname, "vitest.config.ts");
const child = spawn(process.execPath, [vitest, "run", "--config", config, ...process.argv.slice(2)], {
  cwd: root,
  stdio: "inherit",
});
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => child.kill(signal));
child.on("close", (code, signal) => process.exit(code ?? (signal ? 1 : 0)));
