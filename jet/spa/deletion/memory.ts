// What a deletion remembers from round to round: since when who has been silent, and whether it has turned to the ledger. Pure.
import { formatTime } from "#core";
import type { DeletionMemory } from "#proto";
import type { SpaSeen } from "../seen.ts";
import { needsItsApi } from "./graceful.ts";

/** The memory with what this round saw. */
export function remembered(seen: SpaSeen, now: number): DeletionMemory {
  const { way = "Graceful", why, ...old }: Partial<DeletionMemory> = seen.spa.status?.deletion ?? {};
  const nowText = formatTime(now);
  const silent = needsItsApi(seen) && seen.workload.kind !== "reachable";
  const apiSilentSince = silent ? (old.apiSilentSince ?? nowText) : undefined;
  const cloudSilentSince = {
    failed: old.cloudSilentSince ?? nowText,
    counted: undefined,
    unasked: old.cloudSilentSince,
  }[seen.strays.kind];
  const empty = seen.strays.kind === "counted" && seen.strays.vms.length === 0;
  const emptySince = empty && seen.gateway.objects.length === 0 ? (old.emptySince ?? nowText) : undefined;
  return {
    way,
    ...(why === undefined ? {} : { why }),
    ...(apiSilentSince === undefined ? {} : { apiSilentSince }),
    ...(cloudSilentSince === undefined ? {} : { cloudSilentSince }),
    ...(emptySince === undefined ? {} : { emptySince }),
  };
}
