// Files that options name.
import { readFile } from "node:fs/promises";
import { Fault } from "#core";
import type { GatewayOptions } from "./options.ts";

/** The text of a file that an option names. Invalid, by the option's name, when it cannot be read. */
export async function pemFile(path: string, option: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw new Fault("Invalid", `${option}: ${path} cannot be read (${(error as Error).message})`, {
      cause: error,
    });
  }
}

/** The plane's authority, where the configuration names one. */
export async function planeCa(options: GatewayOptions): Promise<{ ca?: string }> {
  return options.plane.ca === undefined ? {} : { ca: await pemFile(options.plane.ca, "plane.ca") };
}
