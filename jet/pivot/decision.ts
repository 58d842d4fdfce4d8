// The decision record: a ConfigMap on the side that will own the cluster. Its presence means "forward", its absence "back is still
// allowed". Two-phase commit with the log on one side; no third party is needed.
import { formatTime, isFault, type Resource, type ResourceStore } from "#core";
import { configMap } from "#proto";
import { decisionName, words } from "#proto/render/names.ts";
import { ensureHolds } from "../ensure.ts";
import type { PivotJournal } from "./journal.ts";

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
  const have = await readDecision(store, namespace);
  if (have && have.epoch > journal.epoch) return;
  const committedAt = have?.id === journal.id && have.committedAt ? have.committedAt : formatTime(now);
  const draft = {
    metadata: { name: decisionName, namespace, labels: { [words.stays]: "true" } },
    data: {
      id: journal.id,
      epoch: String(journal.epoch),
      digest: journal.snapshotDigest ?? have?.digest ?? "",
      state,
      committedAt,
    },
  };
  try {
    await ensureHolds(store, configMap, draft);
  } catch (error) {
    if (!isFault(error, "Conflict")) throw error;
    await ensureHolds(store, configMap, draft);
  }
}

/** Tells the side that is being left: its agent holds still from now on. */
export async function markLeaving(store: ResourceStore, namespace: string): Promise<void> {
  const have = await readDecision(store, namespace);
  if (!have || have.state === "Leaving") return;
  await ensureHolds(store, configMap, {
    metadata: { name: decisionName, namespace },
    data: { state: "Leaving" },
  } as never);
}
