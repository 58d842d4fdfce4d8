// pcg ipam run: the controllers and webhooks of ipam on any API server. pcg ipam manifests: what to apply to it first.
import { stringify } from "yaml";
import { Fault } from "#core";
import { ipamManifests, ipamOptions, runIpam } from "#ipam/program/index.ts";
import { settingsOf } from "../settings.ts";
import { followVcenter } from "../vcenter.ts";
import type { World } from "../world.ts";

export async function ipam(world: World, argv: readonly string[]): Promise<void> {
  const settings = await settingsOf(ipamOptions, argv, world);
  const { env, clock, random } = world;
  const log = world.logAt(settings.log.level);
  const read = async () => (await settingsOf(ipamOptions, argv, world)).vcenter;
  const vcenter = await followVcenter(read, { clock, log });
  try {
    const deps = { env, clock, random, log, ...(vcenter ? { vcenter } : {}) };
    await runIpam(deps, settings, world.signal);
  } finally {
    await vcenter?.close();
  }
}

export interface ManifestOptions {
  readonly image: string;
  readonly namespace: string;
  readonly replicas: string;
  readonly withClusterApiCrds?: boolean;
  readonly webhooks: boolean;
}

/** Prints what to apply to a cluster, as one stream of YAML documents. */
export function manifests({ output }: Pick<World, "output">, options: ManifestOptions): void {
  const replicas = Number(options.replicas);
  if (!Number.isInteger(replicas) || replicas < 1)
    throw new Fault("Invalid", `--replicas ${options.replicas}: expected a whole number of at least 1`);
  const { image, namespace, webhooks, withClusterApiCrds = false } = options;
  const style = { lineWidth: 0, aliasDuplicateObjects: false };
  for (const object of ipamManifests({ image, namespace, replicas, withClusterApiCrds, webhooks }))
    output.line(`---\n${stringify(object, style).trimEnd()}`);
}
