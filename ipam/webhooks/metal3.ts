// What admission says of Metal3's pools, claims and addresses.
import { isFault, sameJson, type Kind, type Problem, type Resource, type ResourceStore } from "#core";
import {
  metal3IPAddress,
  metal3IPClaim,
  metal3IPPool,
  metal3IpamGroup,
  type Metal3IPAddress,
  type Metal3IPClaim,
  type Metal3IPPool,
} from "#proto";
import { metal3PoolProblems } from "../metal3/ranges.ts";
import { metal3AddressProblems, metal3ClaimProblems } from "../metal3/references.ts";
import { wantedAnnotation } from "../metal3/words.ts";
import type { AdmissionRequest, Verdict } from "./admission.ts";
import { withOverlaps } from "./overlaps.ts";

/** Undefined for what is no kind of Metal3's, for what is on its way out, and where nothing is said that was not said before. */
export async function judgeMetal3(
  store: ResourceStore,
  review: AdmissionRequest,
): Promise<Verdict | undefined> {
  const { object, operation } = review;
  if (review.kind.group !== metal3IpamGroup || (operation !== "CREATE" && operation !== "UPDATE"))
    return undefined;
  if (!object || object.metadata.deletionTimestamp !== undefined) return undefined;
  const old = review.oldObject ?? undefined;
  if (old && saysTheSame(object, old)) return undefined; // finalizers come and go on what could not be made today, too
  switch (review.kind.kind) {
    case metal3IPPool.kind:
      return judgeMetal3Pool(store, review, object as Metal3IPPool, old as Metal3IPPool | undefined);
    case metal3IPClaim.kind:
      return verdictOf(metal3ClaimProblems(object as Metal3IPClaim, old as Metal3IPClaim | undefined));
    case metal3IPAddress.kind:
      return verdictOf(metal3AddressProblems(object as Metal3IPAddress, old as Metal3IPAddress | undefined));
    default:
      return undefined;
  }
}

/** What is in use is what the pool's own status says, as upstream has it. */
async function judgeMetal3Pool(
  store: ResourceStore,
  review: AdmissionRequest,
  pool: Metal3IPPool,
  old: Metal3IPPool | undefined,
): Promise<Verdict> {
  const { name, namespace = "" } = pool.metadata;
  const now =
    old &&
    (await store.get(metal3IPPool, { name, namespace }).catch((error: unknown) => {
      if (isFault(error, "NotFound")) return undefined;
      throw error;
    }));
  const inUse = Object.values(now?.status?.indexes ?? old?.status?.indexes ?? {});
  const verdict = verdictOf(metal3PoolProblems(pool.spec, old?.spec, inUse));
  return withOverlaps(store, metal3IPPool as Kind, review, verdict);
}

function saysTheSame(object: Resource, old: Resource): boolean {
  const wanted = ({ metadata }: Resource) => metadata.annotations?.[wantedAnnotation];
  return sameJson(object.spec, old.spec) && wanted(object) === wanted(old);
}

function verdictOf(problems: readonly Problem[]): Verdict {
  return problems.length > 0
    ? { kind: "invalid", problems, warnings: [] }
    : { kind: "allowed", warnings: [] };
}
