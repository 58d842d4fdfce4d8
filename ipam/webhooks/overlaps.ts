// What admission says of overlaps between pools: a warning, or a refusal where one of them says so (conflicts/find.ts).
import { sameJson, type Kind, type Resource, type ResourceStore } from "#core";
import { metal3IPPool, type Metal3IPPool } from "#proto";
import { overlapVerdict } from "../conflicts/find.ts";
import { knownMetal3Pool, knownPool, readPools } from "../inventory/read.ts";
import type { Pool } from "../words.ts";
import type { AdmissionRequest, Verdict } from "./admission.ts";

/** Adds what is to be said of overlaps to a verdict. Pools whose text does not change are never refused for what they are. */
export async function withOverlaps(
  store: ResourceStore,
  kind: Kind,
  { operation, object, oldObject }: AdmissionRequest,
  verdict: Verdict,
): Promise<Verdict> {
  if (verdict.kind !== "allowed" || operation === "DELETE" || !object) return verdict;
  if (oldObject && sameJson(object.spec, oldObject.spec)) return verdict;
  const whole = { ...object, metadata: { ...object.metadata, uid: object.metadata.uid ?? "" } } as Resource;
  const after =
    kind.group === metal3IPPool.group
      ? knownMetal3Pool(whole as Metal3IPPool)
      : knownPool(kind, whole as Pool);
  const { problems, warnings } = overlapVerdict(after, await readPools(store));
  const all = [...verdict.warnings, ...warnings];
  return problems.length > 0 ? { kind: "invalid", problems, warnings: all } : { ...verdict, warnings: all };
}
