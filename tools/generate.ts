// npm run generate: everything that is made from something else. `--check` writes nothing and fails when something is out of step.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { generateCrds } from "../proto/generate-crds.ts";
import { optionsPage } from "../gateway/index.ts";
import { referencePage } from "../core/options/index.ts";
import { ipamOptions } from "../ipam/program/options.ts";
import { planeOptions } from "../plane/index.ts";

const check = process.argv.includes("--check");

/** Folders whose whole content is generated, and files that are. */
const outputs = new Map<string, string>();
for (const [name, text] of generateCrds()) outputs.set(join("proto/generated/crds", name), text);
outputs.set("docs/reference/gateway-options.md", optionsPage());
outputs.set("docs/reference/plane-options.md", referencePage(planeOptions, "Options of pcg plane"));
outputs.set("docs/reference/ipam-options.md", referencePage(ipamOptions, "Options of pcg ipam run"));

const scratch = mkdtempSync(join(tmpdir(), "pcg-generate-"));
try {
  execFileSync(
    "npx",
    ["buf", "generate", "--template", "proto/tunnel/buf.gen.yaml", "-o", scratch, "proto/tunnel"],
    { stdio: "inherit" },
  );
  for (const entry of readdirSync(scratch, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    outputs.set(path.slice(scratch.length + 1), readFileSync(path, "utf8"));
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

const stale = [...outputs].filter(([path, text]) => read(path) !== text).map(([path]) => path);
if (check) {
  for (const path of stale) console.error(`${path} is out of step: run npm run generate`);
  process.exit(stale.length === 0 ? 0 : 1);
}
for (const path of stale) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, outputs.get(path) ?? "");
  console.log(`wrote ${path}`);
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
