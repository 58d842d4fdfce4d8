// Whether the store is the one that this gateway last wrote to, or an older state of it: a number that lies in both, and rises.
//
//   L1. It rises in the store first, then beside it: a crash in between leaves the store ahead, never behind.
//   L2. A store that is behind was restored, or is empty although it was not.
import { isFault, type Draft, type Resource, type ResourceStore } from "#core";
import { configMap, namespace } from "#proto";
import { ensureExists, modify } from "../ensure.ts";

/** The number beside the store. */
export interface LineageShelf {
  read(): Promise<number>;
  write(tick: number): Promise<void>;
}

const lineageName = "pcg-lineage";

/** L2. How far the store is; nothing is written. */
export async function isBehind(
  store: ResourceStore,
  shelf: LineageShelf,
  systemNamespace: string,
): Promise<boolean> {
  return (await tickOf(store, systemNamespace)) < (await shelf.read());
}

async function tickOf(store: ResourceStore, systemNamespace: string): Promise<number> {
  const object = await store.get(configMap, { namespace: systemNamespace, name: lineageName });
  return Number((object as { data?: Record<string, string> } | undefined)?.data?.tick ?? 0);
}

/** Moves both on (L1). Called when all that a restored store needed was done, and now and then. */
export async function tick(
  store: ResourceStore,
  shelf: LineageShelf,
  systemNamespace: string,
): Promise<void> {
  const next = Math.max(await tickOf(store, systemNamespace), await shelf.read()) + 1;
  const key = { namespace: systemNamespace, name: lineageName };
  const data = { tick: String(next) };
  const draft = { metadata: key, data } as Draft<Resource>;
  try {
    await ensureExists(store, configMap, draft);
  } catch (error) {
    if (!isFault(error, "NotFound")) throw error;
    await ensureExists(store, namespace, { metadata: { name: systemNamespace } });
    await ensureExists(store, configMap, draft);
  }
  await modify(store, configMap, key, (object) => ({ ...object, data: { ...object.data, ...data } }));
  await shelf.write(next);
}
