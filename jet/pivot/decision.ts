// The decision record: a ConfigMap on the side that will own the cluster. Its presence means "forward", its absence "back is still
// allowed". Two-phase commit with the log on one side; no third party is needed.
import { formatTime, type Resource, type ResourceStore } from "#core";
import { configMap } from "#proto";
import { decisionName, words } from "#proto/render/names.ts";
import type { PivotJournal } from "./journal.ts";
import { stillOurs, type PivotContext } from "./step.ts";

export interface Decision {
  readonly id: string;
  readonly epoch: number;
  readonly digest: string;
  /** Committed: the cluster belongs here, but hold still. Active: act. Leaving: another side is taking over. */
  readonly state: "Committed" | "Active" | "Leaving";
  readonly committedAt: string;
}

export async function readDecision(store: ResourceStore, namespace: string): Promise<Decision | undefined> {
  return decisionOf(await store.get(configMap, { namespace, name: decisionName }));
}

export function decisionOf(object: Resource | undefined): Decision | undefined {
  const data = (object as { data?: Record<string, string> } | undefined)?.data;
  if (!data?.id || !data.epoch) return undefined;
  const state = data.state === "Active" || data.state === "Leaving" ? data.state : "Committed";
  return {
    id: data.id,
    epoch: Number(data.epoch),
    digest: data.digest ?? "",
    state,
    committedAt: data.committedAt ?? "",
  };
}

/** Writes (or moves on) the record of this pivot. A record of a later epoch is never overwritten. */
export async function writeDecision(
  store: ResourceStore,
  namespace: string,
  journal: PivotJournal,
  state: Decision["state"],
  now: number,
): Promise<void> {
  const object = await store.get(configMap, { namespace, name: decisionName });
  const have = decisionOf(object);
  if (have && have.epoch > journal.epoch) return;
  if (have?.id === journal.id && have.state === "Active") return; // never back to sleep
  const data = {
    id: journal.id,
    epoch: String(journal.epoch),
    digest: journal.snapshotDigest ?? have?.digest ?? "",
    state,
    committedAt: have?.id === journal.id && have.committedAt ? have.committedAt : formatTime(now),
  };
  if (object) await store.update(configMap, { ...object, data: { ...object.data, ...data } });
  else {
    const metadata = { name: decisionName, namespace, labels: { [words.stays]: "true" } };
    await store.create(configMap, { metadata, data });
  }
}

/** Tells the side that is being left: its agent holds still from now on. */
export async function markLeaving(
  { source, names, journal: port }: Pick<PivotContext, "source" | "names" | "journal">,
  journal: PivotJournal,
): Promise<void> {
  const object = await source.get(configMap, { namespace: names.namespace, name: decisionName });
  const have = decisionOf(object);
  if (!object || !have || have.state === "Leaving" || have.epoch >= journal.epoch) return;
  await stillOurs({ journal: port }, journal);
  await source.update(configMap, { ...object, data: { ...object.data, state: "Leaving" } });
}
