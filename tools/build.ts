// npm run build: bundles `pcg` into dist/, quick to start and small in memory.
import { rmSync } from "node:fs";
import { join } from "node:path";
import { bundlePcg } from "./bundle.ts";

const root = join(import.meta.dirname, "..");
rmSync(join(root, "dist"), { recursive: true, force: true });
const { metafile } = await bundlePcg(root, join(root, "dist"));
const bytes = Object.values(metafile.outputs).map((output) => output.bytes);
console.log(
  `dist/pcg.mjs and ${bytes.length - 1} chunks, ${(bytes.reduce((a, b) => a + b, 0) / 1e6).toFixed(1)} MB`,
);
