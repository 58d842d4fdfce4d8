// Loads the options of a program from flags, environment and file, for the commands that run one.
import { readFile } from "node:fs/promises";
import { readFileSync } from "node:fs";
import { parse } from "yaml";
import { Fault } from "#core";
import { load, mistakesFault, type Group, type Infer } from "#core/options/index.ts";
import type { World } from "./world.ts";

/**
 * The settings, with flags before environment before file. Throws Invalid with every mistake, each in the words of its source.
 * `--config FILE` (or PCG_CONFIG) names the file; without one there is none.
 */
export async function settingsOf<S extends Group>(
  schema: S,
  argv: readonly string[],
  world: Pick<World, "env" | "cwd">,
): Promise<Infer<S>> {
  const path = flagValue(argv, "--config") ?? world.env["PCG_CONFIG"];
  const loaded = load(schema, {
    argv,
    env: world.env,
    cwd: world.cwd,
    readFile: (file) => readFileSync(file, "utf8"),
    ownFlags: { config: "value", debug: "switch", context: "value" },
    ...(path === undefined ? {} : { file: { path, value: await yamlFile(path) } }),
  });
  if (loaded.kind === "mistakes") throw mistakesFault(loaded.problems);
  return loaded.value;
}

function flagValue(argv: readonly string[], flag: string): string | undefined {
  const at = argv.findIndex((word) => word === flag || word.startsWith(`${flag}=`));
  if (at < 0) return undefined;
  const word = argv[at] ?? "";
  return word.includes("=") ? word.slice(flag.length + 1) : argv[at + 1];
}

async function yamlFile(path: string): Promise<unknown> {
  try {
    return parse(await readFile(path, "utf8"));
  } catch (error) {
    throw new Fault("Invalid", `--config ${path}: ${(error as Error).message.split("\n")[0]}`, {
      cause: error,
    });
  }
}
