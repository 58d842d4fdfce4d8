// What several commands take, and commands that run a program.
import { Command } from "commander";
import { parseFormat } from "./output.ts";
import type { World } from "./world.ts";

/** Where plane and gateway are, unless a flag says so. */
export function contextOf({ env }: Pick<World, "env">): string {
  return env["PCG_CONTEXT"] ?? ".pcg/context.yaml";
}

export const contextFlag = [
  "--context <file>",
  "where plane and gateway are (PCG_CONTEXT; .pcg/context.yaml unless told)",
] as const;

export const outputFlag = [
  "-o, --output <format>",
  "table, wide, json, yaml or name",
  parseFormat,
  "table",
] as const;

/** A command that runs a program: its flags come from the program's option schema, so commander lets all pass. */
export function runs(
  { output }: Pick<World, "output">,
  name: string,
  description: string,
  schema: () => Promise<string>,
  action: (argv: string[]) => Promise<void>,
): Command {
  return new Command(name)
    .description(description)
    .allowUnknownOption()
    .allowExcessArguments()
    .helpOption(false)
    .argument("[arguments...]")
    .action(async (args: string[]) => {
      if (args.includes("--help") || args.includes("-h"))
        output.line(`pcg ${name}: ${description}\n\n${await schema()}`);
      else await action(args);
    });
}
