// Kubernetes Events about what nobody could see in a status: said once, counted when said again.
import { createHash } from "node:crypto";
import { isFault, modify, timestamp, type Clock, type Resource, type ResourceStore } from "#core";
import { event, type EventObject } from "#proto";

export interface Saying {
  readonly about: Pick<Resource, "apiVersion" | "kind"> & {
    readonly metadata: Pick<Resource["metadata"], "name" | "namespace" | "uid">;
  };
  readonly type: "Normal" | "Warning";
  /** A CamelCase word. */
  readonly reason: string;
  readonly message: string;
}

/** Said again within this time, it is not even counted: controllers come round often. */
const quietMs = 10 * 60_000;

/** Writes the event; its name follows from what is said, so that any number of processes say it once. */
export async function sayEvent(
  { store, clock }: { readonly store: ResourceStore; readonly clock: Clock },
  { about, type, reason, message }: Saying,
): Promise<void> {
  const { name, namespace = "default", uid } = about.metadata;
  const digest = createHash("sha256").update([uid, reason, message].join("\0")).digest("hex").slice(0, 16);
  const key = { namespace, name: `${name.slice(0, 200)}.${digest}` };
  const now = timestamp(clock);
  const have = await store.get(event, key);
  if (have) {
    if (clock.now() - Date.parse(have.lastTimestamp ?? "") < quietMs) return;
    await modify(store, event, key, (object) => {
      object.lastTimestamp = now;
      object.count = (object.count ?? 1) + 1;
    });
    return;
  }
  const draft = {
    metadata: key,
    involvedObject: {
      apiVersion: about.apiVersion,
      kind: about.kind,
      name,
      namespace,
      ...(uid ? { uid } : {}),
    },
    type,
    reason,
    message,
    source: { component: "pcg-ipam" },
    firstTimestamp: now,
    lastTimestamp: now,
    count: 1,
  };
  await store
    .create(event, draft as Omit<EventObject, "apiVersion" | "kind" | "metadata"> & { metadata: typeof key })
    .catch((error: unknown) => {
      if (!isFault(error, "AlreadyExists")) throw error;
    });
}
