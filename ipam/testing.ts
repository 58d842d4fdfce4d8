// For tests of this folder: the ipam controllers on a memory store.
import type { Draft, Resource, ResourceStore } from "#core";
import { onTestFinished } from "vitest";
import { recordingLogger, stage, type StageDeps } from "#core/controller/testing.ts";
import {
  inClusterIPPool,
  ipamGroup,
  ipAddress,
  ipAddressClaim,
  type InClusterIPPool,
  type IPAddressClaim,
} from "#proto";
import { ipamControllers } from "./index.ts";

export function ipamStage(given: Partial<StageDeps> = {}) {
  return stage((deps) => ipamControllers(deps), given);
}

/** The controllers on a memory store, one moment after another, and what a user does there; ends with the test. */
export async function staged() {
  const log = recordingLogger();
  const made = await ipamStage({ log });
  onTestFinished(made.stop);
  const pool = async (name = "nodes") => {
    const found = await made.store.get(inClusterIPPool, { namespace: "c", name });
    if (!found) throw new Error(`no pool ${name}`);
    return found;
  };
  const counters = async () => {
    const { total, used, free, outOfRange } = (await pool()).status?.ipAddresses ?? {};
    return [total, used, free, outOfRange];
  };
  /** Changes the pool as a user would. */
  const edit = async (change: (pool: InClusterIPPool) => InClusterIPPool) => {
    await made.store.update(inClusterIPPool, change(await pool()));
    await made.quiet();
  };
  const claims = async (...names: string[]) => {
    for (const name of names) {
      await made.store.create(ipAddressClaim, claimDraft(name));
      await made.quiet();
    }
  };
  const remove = async (name: string) => {
    await made.store.delete(ipAddressClaim, { namespace: "c", name });
    await made.quiet();
  };
  return { ...made, log, pool, counters, edit, claims, remove };
}

export function poolDraft(
  spec: Partial<InClusterIPPool["spec"]> = {},
  name = "nodes",
): Draft<InClusterIPPool> {
  return {
    metadata: { namespace: "c", name },
    spec: { addresses: ["10.0.0.10-10.0.0.12"], prefix: 24, gateway: "10.0.0.1", ...spec },
  };
}

export function claimDraft(
  name: string,
  metadata: Partial<Resource["metadata"]> = {},
  poolRef: Partial<IPAddressClaim["spec"]["poolRef"]> = {},
): Draft<IPAddressClaim> {
  return {
    metadata: { namespace: "c", name, ...metadata },
    spec: { poolRef: { apiGroup: ipamGroup, kind: inClusterIPPool.kind, name: "nodes", ...poolRef } },
  };
}

/** "name address" of all IPAddresses, sorted. */
export async function given(store: ResourceStore): Promise<string[]> {
  const { items } = await store.list(ipAddress);
  return items.map((each) => `${each.metadata.name} ${each.spec.address}`).sort();
}

/** "Ready reason: message", or what there is instead. */
export async function claimState(store: ResourceStore, name: string, namespace = "c"): Promise<string> {
  const claim = await store.get(ipAddressClaim, { namespace, name });
  if (!claim) return "gone";
  const ready = claim.status?.conditions?.find(({ type }) => type === "Ready");
  return ready ? `${ready.status} ${ready.reason}: ${ready.message}` : "silent";
}
