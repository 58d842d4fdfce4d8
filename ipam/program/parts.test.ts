import { expect, test } from "vitest";
import type { Kind } from "#core";
import {
  cluster,
  globalInClusterIPPool,
  inClusterIPPool,
  ipAddress,
  ipAddressClaim,
  metal3Kinds,
  vsphereCluster,
  vsphereMachine,
  vsphereMachineTemplate,
  vsphereVM,
} from "#proto";
import { chosenParts } from "./parts.ts";

const capi = [cluster, ipAddress, ipAddressClaim] as unknown as Kind[];
const pools = [inClusterIPPool, globalInClusterIPPool] as unknown as Kind[];
const capv = [vsphereMachine, vsphereCluster, vsphereMachineTemplate, vsphereVM] as unknown as Kind[];

const table: [string, readonly Kind[], readonly string[]][] = [
  ["Cluster API and the in-cluster provider", [...capi, ...pools], ["in-cluster"]],
  [
    "with CAPV: static addresses need no kinds of Metal3",
    [...capi, ...pools, ...capv],
    ["in-cluster", "static"],
  ],
  ["Metal3 alone", [...capi, ...metal3Kinds], ["metal3"]],
  ["Metal3 and CAPV", [...capi, ...metal3Kinds, ...capv], ["metal3", "static"]],
  ["all of them", [...capi, ...pools, ...metal3Kinds, ...capv], ["in-cluster", "metal3", "static"]],
];

test.each(table)("%s", (_name, kinds, want) =>
  expect(chosenParts(undefined, { kinds, older: new Map() })).toEqual(want),
);

test("what is asked for and cannot be, is told by its kinds", () => {
  const served = { kinds: [...capi, ...capv], older: new Map<string, string>() };
  expect(() => chosenParts(["static"], served)).toThrow(/ippools.ipam.metal3.io, inclusterippools/);
  expect(() => chosenParts(["dhcp"], served)).toThrow(/no such part; use in-cluster, metal3, static/);
  expect(() => chosenParts(undefined, served)).toThrow(/apply `pcg ipam manifests`/);
});
