// Waiting for the world, with an error that says what for and how far it came.
import { sleep, systemClock } from "#core";
import type { ClusterStatusBody, PlaneClient } from "#plane";

/** Looks until it is so. Throws after the deadline, with what it waited for. */
export async function until(what: string, look: () => Promise<boolean>, deadlineMs = 60_000): Promise<void> {
  const end = systemClock.now() + deadlineMs;
  while (!(await look())) {
    if (systemClock.now() > end) throw new Error(`waited ${deadlineMs / 1000} s in vain until ${what}`);
    await sleep(systemClock, 50);
  }
}

/** Waits for a cluster's state at the plane; the error tells how far it came. */
export async function untilState(
  client: PlaneClient,
  uid: string,
  state: string,
  deadlineMs = 90_000,
): Promise<ClusterStatusBody> {
  let last: ClusterStatusBody | undefined;
  try {
    await until(
      `cluster ${uid} is ${state}`,
      async () => (last = await client.clusterStatus(uid)).state === state,
      deadlineMs,
    );
  } catch (error) {
    throw new Error(
      `${(error as Error).message}; it is ${JSON.stringify({ state: last?.state, conditions: last?.conditions, milestones: last?.milestones })}`,
    );
  }
  return last!;
}
