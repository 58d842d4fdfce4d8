import { expect, test } from "vitest";
import type { IPAddressClaim } from "#proto";
import { placeText, poolPlace } from "./words.ts";

const group = "ipam.cluster.x-k8s.io";

test.each<[string, IPAddressClaim["spec"]["poolRef"], string | undefined]>([
  [
    "a pool beside the claim",
    { apiGroup: group, kind: "InClusterIPPool", name: "p" },
    `inclusterippools.${group} c/p`,
  ],
  [
    "a cluster-scoped pool",
    { apiGroup: group, kind: "GlobalInClusterIPPool", name: "p" },
    `globalinclusterippools.${group} p`,
  ],
  [
    "a pool of prefixes",
    { apiGroup: group, kind: "InClusterPrefixPool", name: "p" },
    `inclusterprefixpools.${group} c/p`,
  ],
  ["another kind", { apiGroup: group, kind: "OtherPool", name: "p" }, undefined],
  ["no group", { apiGroup: "", kind: "InClusterIPPool", name: "p" }, undefined],
  ["another group", { apiGroup: "ipam.example.com", kind: "InClusterIPPool", name: "p" }, undefined],
])("a reference to %s", (_, poolRef, want) => {
  const claim = { metadata: { namespace: "c", name: "a" }, spec: { poolRef } } as IPAddressClaim;
  const place = poolPlace(claim);
  expect(place && placeText(place)).toBe(want);
});
