// What a deletion remembers from round to round: since when who has been silent, and whether it has turned to the ledger. Pure.
import { formatTime } from "#core";
import type { DeletionMemory } from "#proto";
import type { SpaSeen } from "../seen.ts";
import { needsItsApi } from "./graceful.ts";
import { elapsed, type DeletionOptions } from "./part.ts";

/** How long vCenter must have shown none of the VMs of a cluster that is deleted by the ledger: a clone may have been under way. */
export function settleMs({ deadAfterMs }: Pick<DeletionOptions, "deadAfterMs">): number {
  return Math.min(10_000, deadAfterMs);
}

/** The memory with what this round saw. */
export function remembered(seen: SpaSeen, options: DeletionOptions): DeletionMemory {
  const { now } = options;
  const { way = "Graceful", why, ...old }: Partial<DeletionMemory> = seen.spa.status?.deletion ?? {};
  const nowText = formatTime(now);
  const { kind } = seen.strays;
  const silent = needsItsApi(seen) && seen.workload.kind !== "reachable";
  const apiSilentSince = silent ? (old.apiSilentSince ?? nowText) : undefined;
  const cloudSilentSince =
    kind === "failed"
      ? (old.cloudSilentSince ?? nowText)
      : kind === "unasked"
        ? old.cloudSilentSince
        : undefined;
  const isEmpty =
    seen.strays.kind === "counted" && seen.strays.vms.length === 0 && seen.gateway.objects.length === 0;
  const emptySince = isEmpty ? (old.emptySince ?? nowText) : kind === "counted" ? undefined : old.emptySince;
  const settled = way === "Graceful" || elapsed(emptySince, now) >= settleMs(options);
  const provedAt = old.provedAt ?? (isEmpty && settled ? nowText : undefined);
  return {
    way,
    ...(why === undefined ? {} : { why }),
    ...(apiSilentSince === undefined ? {} : { apiSilentSince }),
    ...(cloudSilentSince === undefined ? {} : { cloudSilentSince }),
    ...(emptySince === undefined ? {} : { emptySince }),
    ...(provedAt === undefined ? {} : { provedAt }),
  };
}
