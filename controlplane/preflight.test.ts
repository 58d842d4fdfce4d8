import { describe, expect, it } from "vitest";
import type { Resource } from "#core";
import { machine, spa, vsphereMachine } from "#proto";
import { judgeExternal, type Findings } from "./preflight.ts";

const crd = (
  name: string,
  versions: string[],
  rest: { labels?: object; established?: boolean } = {},
): Resource =>
  ({
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name, labels: rest.labels ?? { "cluster.x-k8s.io/v1beta2": "v1beta1_v1beta2" } },
    spec: { group: "", versions: versions.map((each) => ({ name: each, served: true })) },
    status: { conditions: [{ type: "Established", status: rest.established === false ? "False" : "True" }] },
  }) as unknown as Resource;

const kinds = [machine, vsphereMachine, spa];
const good: Findings = {
  kubernetes: "v1.34.2",
  crds: [
    crd("machines.cluster.x-k8s.io", ["v1beta1", "v1beta2"]),
    crd("vspheremachines.infrastructure.cluster.x-k8s.io", [vsphereMachine.version]),
    crd(`${spa.plural}.${spa.group}`, [spa.version]),
  ],
  providers: [
    { name: "cluster-api", version: "v1.13.2" },
    { name: "infrastructure-vsphere", version: "v1.16.0" },
    { name: "ipam-metal3", version: "v1.0.0" },
  ],
  denied: [],
};

const told = (findings: Partial<Findings>) =>
  judgeExternal({ ...good, ...findings }, kinds).map(({ field, message }) => `${field} ${message}`);

describe("an external management cluster", () => {
  it("that has everything will do", () => {
    expect(told({})).toEqual([]);
  });

  it("of an old Kubernetes is told which will do", () => {
    expect(told({ kubernetes: "v1.30.4" })).toEqual([
      "Kubernetes is v1.30.4, and Cluster API 1.13 runs on 1.32 to 1.36: upgrade the cluster",
    ]);
  });

  it("without a kind is told whose it is", () => {
    expect(told({ crds: [] })).toEqual([
      "machines.cluster.x-k8s.io is not installed: install Cluster API 1.13.5 (clusterctl init)",
      "vspheremachines.infrastructure.cluster.x-k8s.io is not installed: install CAPV 1.16.1",
      `${spa.plural}.${spa.group} is not installed: install the gateway's own CRDs (proto/generated/crds)`,
    ]);
  });

  it("with an old kind, one of no contract, one that is not established", () => {
    expect(
      told({
        crds: [
          crd("machines.cluster.x-k8s.io", ["v1beta1"]),
          crd("vspheremachines.infrastructure.cluster.x-k8s.io", [vsphereMachine.version], { labels: {} }),
          crd(`${spa.plural}.${spa.group}`, [spa.version], { established: false }),
        ],
      }),
    ).toEqual([
      "machines.cluster.x-k8s.io is served in v1beta1, and the gateway speaks v1beta2: install Cluster API 1.13.5 (clusterctl init)",
      "vspheremachines.infrastructure.cluster.x-k8s.io does not bear the label cluster.x-k8s.io/v1beta2: it was installed by hand or is too old; install CAPV 1.16.1",
      `${spa.plural}.${spa.group} is not established: see the conditions of its CRD`,
    ]);
  });

  it("with providers that do not go together", () => {
    expect(told({ providers: [{ name: "infrastructure-vsphere", version: "v1.14.0" }] })).toEqual([
      "provider infrastructure-vsphere is v1.14.0, and this gateway is made for 1.16: upgrade it with clusterctl",
    ]);
  });

  it("whose user may too little is told what to grant, a line a resource", () => {
    const denied = ["create", "delete"].map((verb) => ({ group: "", resource: "secrets", verb }));
    expect(told({ denied })).toEqual([
      "secrets may not be used by the kubeconfig's user: grant create, delete on secrets in all namespaces",
    ]);
  });
});
