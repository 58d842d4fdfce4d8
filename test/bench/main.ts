// npm run bench -- NAME: runs test/bench/NAME.ts and prints one JSON object per figure. Exits with 1 where a figure misses its limits.
import { readdirSync } from "node:fs";
import { missed, type Figure } from "./figure/limits.ts";

const names = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith(".ts") && file !== "main.ts")
  .map((file) => file.slice(0, -3));
const [name, ...rest] = process.argv.slice(2);
if (!name || !names.includes(name)) {
  console.error(`usage: npm run bench -- NAME, where NAME is one of: ${names.join(", ")}`);
  process.exit(2);
}
const bench = (await import(`./${name}.ts`)) as {
  run(args: readonly string[]): AsyncIterable<Figure>;
};
let isMissed = false;
for await (const figure of bench.run(rest)) {
  const wrong = missed(figure);
  isMissed ||= wrong.length > 0;
  console.log(JSON.stringify({ ...figure, must: undefined, ...(wrong.length > 0 ? { missed: wrong } : {}) }));
}
process.exit(isMissed ? 1 : 0);
