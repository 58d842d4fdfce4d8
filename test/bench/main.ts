// npm run bench -- NAME: runs test/bench/NAME.ts and prints one JSON object per figure.
import { readdirSync } from "node:fs";

const names = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith(".ts") && file !== "main.ts")
  .map((file) => file.slice(0, -3));
const [name, ...rest] = process.argv.slice(2);
if (!name || !names.includes(name)) {
  console.error(`usage: npm run bench -- NAME, where NAME is one of: ${names.join(", ")}`);
  process.exit(2);
}
const bench = (await import(`./${name}.ts`)) as {
  run(args: readonly string[]): AsyncIterable<Record<string, unknown>>;
};
for await (const figure of bench.run(rest)) console.log(JSON.stringify(figure));
process.exit(0);
