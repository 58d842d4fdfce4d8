// For tests: the controllers of Metal3's pools beside those of the in-cluster provider, on a memory store.
import type { Draft, ResourceStore } from "#core";
import { stage, type StageDeps } from "#core/controller/testing.ts";
import {
  metal3IPAddress,
  metal3IPClaim,
  metal3IpamGroup,
  metal3IPPool,
  type IPAddressClaim,
  type Metal3IPClaim,
  type Metal3IPPool,
} from "#proto";
import { ipamControllers, metal3Controllers, type Prober } from "../index.ts";

export function metal3Stage(given: Partial<StageDeps> = {}, prober?: Prober) {
  return stage((deps) => {
    const all = { ...deps, random: () => 0.3, ...(prober ? { prober } : {}) };
    return [...ipamControllers(all), ...metal3Controllers(all)];
  }, given);
}

export function metal3PoolDraft(
  spec: Partial<Metal3IPPool["spec"]> = {},
  metadata: Partial<Metal3IPPool["metadata"]> = {},
): Draft<Metal3IPPool> {
  return {
    metadata: { namespace: "c", name: "m3", ...metadata },
    spec: {
      pools: [{ start: "10.0.0.10", end: "10.0.0.12" }],
      prefix: 24,
      gateway: "10.0.0.1",
      namePrefix: "node",
      allocationStrategy: "sequential",
      ...spec,
    },
  };
}

export function metal3ClaimDraft(
  name: string,
  annotations?: Record<string, string>,
  pool: Metal3IPClaim["spec"]["pool"] = { name: "m3", namespace: "c" },
): Draft<Metal3IPClaim> {
  return { metadata: { namespace: "c", name, ...(annotations ? { annotations } : {}) }, spec: { pool } };
}

export function capiOnMetal3(name: string, annotations?: Record<string, string>): Draft<IPAddressClaim> {
  return {
    metadata: { namespace: "c", name, ...(annotations ? { annotations } : {}) },
    spec: { poolRef: { apiGroup: metal3IpamGroup, kind: metal3IPPool.kind, name: "m3" } },
  };
}

/** "claim address" of all IPAddresses of Metal3, sorted. */
export async function metal3Given(store: ResourceStore): Promise<string[]> {
  const { items } = await store.list(metal3IPAddress);
  return items.map(({ spec }) => `${spec.claim.name} ${spec.address}`).sort();
}

/** The name of the address, or the error message. */
export async function metal3ClaimState(store: ResourceStore, name: string): Promise<string> {
  const claim = await store.get(metal3IPClaim, { namespace: "c", name });
  if (!claim) return "gone";
  return claim.status?.address?.name ?? claim.status?.errorMessage ?? "silent";
}
