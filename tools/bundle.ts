// How `pcg` is bundled: an entry and chunks that are loaded when a command needs them. sqlite3 stays outside, it carries an addon.
import { chmod } from "node:fs/promises";
import { join } from "node:path";
import { build } from "esbuild";

/** A small young generation: a gateway that idles for days needs little room for short-lived objects, and stays 25 MB smaller. */
const head = "#!/usr/bin/env -S node --max-semi-space-size=4";

/** Bundles cli/main.ts to OUTDIR/pcg.mjs and OUTDIR/chunks. `root` is the checkout. */
export async function bundlePcg(root: string, outdir: string) {
  const result = await build({
    absWorkingDir: root,
    entryPoints: { pcg: "cli/main.ts" },
    outdir,
    outExtension: { ".js": ".mjs" },
    chunkNames: "chunks/[name]-[hash]",
    bundle: true,
    splitting: true,
    platform: "node",
    target: "node20",
    format: "esm",
    minifySyntax: true,
    minifyWhitespace: true,
    external: ["sqlite3"],
    banner: {
      js: `${head}\nimport { createRequire as pcgCreateRequire } from "node:module"; const require = pcgCreateRequire(import.meta.url);`,
    },
    metafile: true,
    logLevel: "warning",
  });
  await chmod(join(outdir, "pcg.mjs"), 0o755);
  return result;
}
