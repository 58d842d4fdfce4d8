// What admission says of Metal3's pools.
import { isFault, type Kind, type ResourceStore } from "#core";
import { metal3IPPool, metal3IpamGroup, type Metal3IPPool } from "#proto";
import { metal3PoolProblems } from "../metal3/ranges.ts";
import type { AdmissionRequest, Verdict } from "./admission.ts";
import { withOverlaps } from "./overlaps.ts";

/** Undefined for what is no pool of Metal3's. What is in use is what the pool's own status says, as upstream has it. */
export async function judgeMetal3(
  store: ResourceStore,
  review: AdmissionRequest,
): Promise<Verdict | undefined> {
  if (review.kind.group !== metal3IpamGroup || review.kind.kind !== metal3IPPool.kind) return undefined;
  if (review.operation !== "CREATE" && review.operation !== "UPDATE") return undefined;
  const pool = review.object as Metal3IPPool | null | undefined;
  const old = (review.oldObject ?? undefined) as Metal3IPPool | undefined;
  if (!pool || pool.metadata.deletionTimestamp !== undefined) return undefined;
  const { name, namespace = "" } = pool.metadata;
  const now =
    old &&
    (await store.get(metal3IPPool, { name, namespace }).catch((error: unknown) => {
      if (isFault(error, "NotFound")) return undefined;
      throw error;
    }));
  const inUse = Object.values(now?.status?.indexes ?? old?.status?.indexes ?? {});
  const problems = metal3PoolProblems(pool.spec, old?.spec, inUse);
  return problems.length > 0
    ? { kind: "invalid", problems, warnings: [] }
    : withOverlaps(store, metal3IPPool as Kind, review, { kind: "allowed", warnings: [] });
}
