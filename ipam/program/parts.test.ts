import { expect, test } from "vitest";
import { Fault, type Kind, type ResourceStore } from "#core";
import {
  cluster,
  globalInClusterIPPool,
  inClusterIPPool,
  ipAddress,
  ipAddressClaim,
  machineDeployment,
  metal3Kinds,
  vsphereCluster,
  vsphereMachine,
  vsphereMachineTemplate,
  vsphereVM,
} from "#proto";
import { chosenParts, servedKinds } from "./parts.ts";

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

test("installed before there was room for autoscalers: what it may not read is named, and it serves as before", async () => {
  const forbidding = (kind: Kind) =>
    ({
      async list(asked: Kind) {
        if (asked.kind === kind.kind) throw new Fault("Forbidden", "may not be listed");
        return { items: [], revision: "1" };
      },
    }) as unknown as ResourceStore;
  const served = await servedKinds(forbidding(machineDeployment as unknown as Kind));
  expect(served.unread).toEqual(["machinedeployments.cluster.x-k8s.io"]);
  expect(chosenParts(undefined, served)).toEqual(["in-cluster", "metal3", "static"]);
  await expect(servedKinds(forbidding(ipAddressClaim as unknown as Kind))).rejects.toThrow(
    "may not be listed",
  );
});
