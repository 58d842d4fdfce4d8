import { expect, it } from "vitest";
import type { Kind, Resource } from "#core";
import {
  ipAddress,
  kubeadmConfig,
  kubeadmControlPlane,
  machine,
  machineDeployment,
  machineSet,
  vsphereMachine,
  vsphereVM,
} from "#proto";
import { censusDifference, censusOf, namesThatDiffer } from "./census.ts";
import type { Member } from "./closure.ts";
import { predictRollouts, rolloutsOfMove } from "./rollouts.ts";

const born = "2026-01-01T00:00:00Z";
const now = Date.parse("2026-02-01T00:00:00Z");

function member(kind: Kind, name: string, spec: object, more: Partial<Resource["metadata"]> = {}): Member {
  const metadata = { name, uid: name, resourceVersion: "1", generation: 1, creationTimestamp: born, ...more };
  return { kind, object: { apiVersion: "v1", kind: kind.kind, metadata, spec } };
}

interface Change {
  readonly plane?: object;
  readonly machine?: object;
  readonly from?: string;
  readonly config?: object;
  readonly deployment?: object;
  readonly machineBorn?: string;
}

function world({
  plane,
  machine: one,
  from = "t1",
  config,
  deployment,
  machineBorn = born,
}: Change = {}): Member[] {
  const template = { spec: { version: "v1.35.4", infrastructureRef: { name: "w1" } } };
  return [
    member(kubeadmControlPlane, "cp", {
      version: "v1.35.4",
      machineTemplate: { spec: { infrastructureRef: { name: "t1" } } },
      kubeadmConfigSpec: { files: [{ path: "/a" }], clusterConfiguration: {} },
      ...plane,
    }),
    member(
      machine,
      "m",
      {
        version: "v1.35.4",
        infrastructureRef: { name: "i" },
        bootstrap: { configRef: { name: "k" } },
        ...one,
      },
      { labels: { "cluster.x-k8s.io/control-plane": "" }, creationTimestamp: machineBorn },
    ),
    member(vsphereMachine, "i", {}, { annotations: { "cluster.x-k8s.io/cloned-from-name": from } }),
    member(kubeadmConfig, "k", { files: [{ path: "/a" }], ...config }),
    member(machineDeployment, "w", { template, ...deployment }),
    member(
      machineSet,
      "w-s",
      { template },
      {
        ownerReferences: [{ apiVersion: "v1", kind: "MachineDeployment", name: "w", uid: "w" }],
      },
    ),
  ];
}

const due = { rollout: { after: "2026-01-15T00:00:00Z" } };

it.each<[string, Change, string[]]>([
  ["a cluster as its owners want it", {}, []],
  ["another version", { plane: { version: "v1.36.0" } }, ["Machine/m: version v1.35.4, v1.36.0 is wanted"]],
  ["another template", { from: "t0" }, ["Machine/m: template t0, t1 is wanted"]],
  ["another file", { config: { files: [] } }, ["Machine/m: bootstrap configuration differs in files"]],
  ["what only the machine has", { config: { clusterConfiguration: { x: 1 } } }, []],
  ["a rollout whose time has come", { plane: due }, ["Machine/m: rollout.after has passed"]],
  ["one that has been done", { plane: due, machineBorn: "2026-01-16T00:00:00Z" }, []],
  ["one that is yet to come", { plane: { rollout: { after: "2026-03-01T00:00:00Z" } } }, []],
  [
    "another template of workers",
    { deployment: { template: { spec: { version: "v1.35.4", infrastructureRef: { name: "w2" } } } } },
    ["MachineSet/w-s: another infrastructure template is wanted"],
  ],
  ["workers due", { deployment: due }, ["MachineSet/w-s: rollout.after has passed"]],
])("predicts for %s", (_, change, expected) => {
  expect(predictRollouts(world(change), now).map((w) => w)).toEqual(expected);
});

it("tells what a move brings about, and what it would have forgotten", () => {
  const copied = world({ plane: due, machineBorn: "2026-02-01T00:00:00Z" });
  expect(rolloutsOfMove(world(), world({ from: "t0" }), now)).toEqual({
    begun: ["Machine/m: template t0, t1 is wanted"],
    forgotten: [],
  });
  expect(rolloutsOfMove(world({ plane: due }), copied, now)).toEqual({
    begun: [],
    forgotten: ["Machine/m: rollout.after has passed"],
  });
});

it("takes a census that is told by names, and never by uids", () => {
  const vm = (uid: string, biosUUID?: string) => member(vsphereVM, "m", { biosUUID }, { uid });
  const address = (of: string) => member(ipAddress, "a", { address: of, claimRef: { name: "c" } });
  const before = [...world(), vm("1", "4200"), address("10.0.0.1")];
  const same = [address("10.0.0.1"), vm("2", "4200"), ...world()];
  expect(censusDifference(censusOf(before), censusOf(same))).toBeUndefined();
  const other = [...world(), vm("1", "4201"), address("10.0.0.2"), member(machine, "n", {})];
  expect(censusDifference(censusOf(before), censusOf(other))).toBe(
    "2 machines instead of 1, VMs are others than before (1), addresses are others than before (1)",
  );
  expect(namesThatDiffer(before, other)).toEqual([
    "+n",
    "+4201",
    "-4200",
    "+10.0.0.2 for c",
    "-10.0.0.1 for c",
  ]);
});
