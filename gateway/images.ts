// Where the images of workload clusters come from, as the gateway is told.
import { readFile, stat } from "node:fs/promises";
import { Fault, Secret } from "#core";
import type { ImageSource } from "#jet";
import type { GatewayOptions } from "./options.ts";

/** Invalid when the file with the registry's logins cannot be used. */
export async function imageSource({ jet: { images } }: GatewayOptions): Promise<ImageSource> {
  const { registry: mirror, pullSecretFile: file } = images;
  return file === undefined ? { mirror } : { mirror, pullSecret: await pullSecret(file) };
}

async function pullSecret(file: string): Promise<NonNullable<ImageSource["pullSecret"]>> {
  const doing = `jet.images.pullSecretFile: ${file}`;
  let text: string;
  let version: string;
  try {
    text = await readFile(file, "utf8");
    version = String((await stat(file)).mtimeMs); // not a hash: it is written down in clusters
  } catch (error) {
    throw new Fault("Invalid", `${doing} cannot be read (${(error as Error).message})`, { cause: error });
  }
  if (!isDockerConfig(text)) {
    throw new Fault(
      "Invalid",
      `${doing} is no Docker config: it is JSON with "auths", as in ~/.docker/config.json`,
    );
  }
  return { config: new Secret(text), version };
}

function isDockerConfig(text: string): boolean {
  try {
    return typeof (JSON.parse(text) as { auths?: unknown } | null)?.auths === "object";
  } catch {
    return false;
  }
}
