// What the clusters of a site could leave behind, and the proof that they left nothing.
import { expect } from "vitest";
import type { Kind, ResourceStore } from "#core";
import { clusterApiKinds, inClusterIPPool, ipAddress, ipAddressClaim, namespace, secret, spa } from "#proto";
import { until } from "./until.ts";

/** A machine as the datacenter knows it. */
export interface LifeVm {
  readonly name: string;
  readonly biosUUID: string;
  readonly ipAddress: string | undefined;
}

/** Where a census is taken. */
export interface CensusSite {
  /** The gateway's API. */
  readonly store: ResourceStore;
  /** The machines that exist now, without templates. */
  census(): Promise<readonly LifeVm[]>;
}

export interface Census {
  /** "Kind namespace/name". */
  readonly objects: readonly string[];
  /** Names. */
  readonly vms: readonly string[];
}

/** The sample's pool. */
export const poolKey = { namespace: "default", name: "nodes" };
const ofTheSample = [`Namespace /default`, `InClusterIPPool ${poolKey.namespace}/${poolKey.name}`];

export async function takeCensus(site: CensusSite): Promise<Census> {
  return { objects: await objectsOn(site.store), vms: (await site.census()).map((vm) => vm.name) };
}

/** Nothing is there that was not there before, but for the sample's pool; and of that no address is used. */
export async function expectNothingLeft(site: CensusSite, before: Census, ms: number): Promise<void> {
  expect((await site.census()).map((vm) => vm.name)).toEqual(before.vms);
  let left: string[] = [];
  await until(
    "nothing of a cluster is left in the gateway's API",
    async () => {
      left = (await objectsOn(site.store)).filter(
        (object) => !before.objects.includes(object) && !ofTheSample.includes(object),
      );
      return left.length === 0;
    },
    ms,
  ).catch((error: Error) => {
    throw new Error(`${error.message}; there is ${left.join(", ")}`);
  });
  await until(
    "the pool counts nothing used",
    async () => (await site.store.get(inClusterIPPool, poolKey))?.status?.ipAddresses?.used === 0,
    ms,
  );
}

async function objectsOn(store: ResourceStore): Promise<string[]> {
  const kinds: readonly Kind[] = [
    ...clusterApiKinds,
    spa,
    secret,
    ipAddressClaim,
    ipAddress,
    inClusterIPPool,
    namespace,
  ];
  const found: string[] = [];
  for (const kind of new Set(kinds)) {
    for (const { metadata } of (await store.list(kind)).items)
      found.push(`${kind.kind} ${metadata.namespace ?? ""}/${metadata.name}`);
  }
  return found;
}
