// Why a Deployment is not available: what its pods say. Pure.
import type { Pod } from "#proto";
import type { Trouble } from "./milestones.ts";

interface Waiting {
  readonly reason?: string;
  readonly message?: string;
}

interface ContainerStatus {
  readonly image?: string;
  readonly state?: { readonly waiting?: Waiting };
}

/** Reasons of a container that waits for more than its turn; "ContainerCreating" and the like are none. */
const bad =
  /^(ErrImagePull|ImagePullBackOff|InvalidImageName|ErrImageNeverPull|CrashLoopBackOff|Create\w*Error|RunContainerError)$/;

/** The first pod in trouble, by name; undefined where all are on their way. */
export function podTrouble(pods: readonly Pod[]): Trouble | undefined {
  return [...pods]
    .sort((a, b) => a.metadata.name.localeCompare(b.metadata.name))
    .map(troubleOf)
    .find((trouble) => trouble !== undefined);
}

function troubleOf({ metadata, status }: Pod): Trouble | undefined {
  const object = `Pod/${metadata.name}`;
  const { conditions = [], containerStatuses } = (status ?? {}) as {
    conditions?: readonly ({ type: string; status: string } & Waiting)[];
    containerStatuses?: readonly ContainerStatus[];
  };
  const unplaced = conditions.find((c) => c.type === "PodScheduled" && c.status === "False");
  if (unplaced?.reason === "Unschedulable") {
    return { code: "Unschedulable", message: unplaced.message ?? "no node takes it", object };
  }
  for (const { image, state } of containerStatuses ?? []) {
    const { reason = "", message } = state?.waiting ?? {};
    if (!bad.test(reason)) continue;
    return { code: reason, message: `${image ?? "its image"}: ${message || reason}`, object };
  }
  return undefined;
}
