// Bundles `pcg` into dist/pcg.mjs: one file, quick to start and small in memory. sqlite3 stays outside, it carries a native addon.
import { build } from "esbuild";

const result = await build({
  entryPoints: { pcg: "cli/main.ts" },
  outdir: "dist",
  outExtension: { ".js": ".mjs" },
  bundle: true,
  platform: "node",
  target: "node20",
  format: "esm",
  minifySyntax: true,
  external: ["sqlite3"],
  banner: {
    js: `#!/usr/bin/env node\nimport { createRequire as pcgCreateRequire } from "node:module"; const require = pcgCreateRequire(import.meta.url);`,
  },
  metafile: true,
  logLevel: "warning",
});
for (const [file, { bytes }] of Object.entries(result.metafile.outputs))
  console.log(`${file}  ${(bytes / 1e6).toFixed(1)} MB`);
