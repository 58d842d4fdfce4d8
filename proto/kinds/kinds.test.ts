import { describe, expect, it } from "vitest";
import { followJsonPath, parseApiVersion, parseJsonPath, type Kind, type Resource } from "#core";
import { golden, type GoldenFile } from "#test/golden/read.ts";
import {
  allKinds,
  moveKinds,
  secret,
  secretText,
  spa,
  machineDeployment,
  vsphereMachineTemplate,
} from "../index.ts";

function kindOf(object: Resource): Kind | undefined {
  const { group } = parseApiVersion(object.apiVersion);
  return allKinds.find((kind) => kind.group === group && kind.kind === object.kind);
}

function admit(kind: Kind, object: Resource) {
  if (!kind.admit) throw new Error(`${kind.kind} has no admit`);
  return kind.admit(object);
}

const draft = (kind: Kind, rest: Record<string, unknown>) =>
  ({
    apiVersion: `${kind.group}/${kind.version}`,
    kind: kind.kind,
    metadata: { name: "x" },
    ...rest,
  }) as unknown as Resource;

describe("kinds", () => {
  const files: GoldenFile[] = ["capi-provisioning", "capi-running", "capi-secrets", "ipam-in-cluster"];
  it.each(files)("what upstream wrote (%s) is admitted as it is, field by field", async (file) => {
    const objects = (await golden(file)).filter((object) => kindOf(object));
    expect(objects.length).toBeGreaterThan(5);
    for (const object of objects) {
      const kind = kindOf(object)!;
      expect(object.apiVersion, object.kind).toBe(
        kind.group ? `${kind.group}/${kind.version}` : kind.version,
      );
      expect(admit(kind, object), `${object.kind}/${object.metadata.name}`).toEqual({ object });
    }
  });

  it("admitting twice is admitting once", async () => {
    for (const object of (await golden("capi-running")).filter((o) => kindOf(o))) {
      const once = admit(kindOf(object)!, object);
      if (!("object" in once)) throw new Error("refused");
      expect(admit(kindOf(object)!, once.object)).toEqual(once);
    }
  });

  it("the columns of a table lead somewhere: every recorded object of a cluster shows its cluster", async () => {
    const shown = (await golden("capi-running")).flatMap((object) => {
      const column = kindOf(object)?.printerColumns.find((c) => c.name === "Cluster");
      return column ? [[object.kind, ...followJsonPath(parseJsonPath(column.jsonPath), object)]] : [];
    });
    expect(shown.length).toBeGreaterThan(10);
    for (const [kind, ...values] of shown) expect([kind, ...values]).toEqual([kind, "c1"]);
  });

  it("names are unique within a group, and every kind that moves is served", () => {
    const names = allKinds.map((kind) => `${kind.group}/${kind.plural}`);
    expect(new Set(names).size).toBe(names.length);
    for (const kind of moveKinds) expect(allKinds).toContain(kind);
  });

  it("all mistakes are named by their paths, at once", () => {
    const answer = admit(
      spa,
      draft(spa, {
        spec: {
          clusterUid: "Bad Name",
          kubernetesVersion: "1.35",
          placement: {},
          workerPools: [{ size: -1 }],
        },
      }),
    );
    if (!("problems" in answer)) throw new Error("admitted");
    const byField = Object.fromEntries(answer.problems.map((p) => [p.field, p.message]));
    expect(Object.keys(byField)).toEqual(
      expect.arrayContaining([
        "spec.clusterUid",
        "spec.clusterName",
        "spec.kubernetesVersion",
        "spec.cloud",
        "spec.placement.datacenter",
        "spec.workerPools[0].name",
        "spec.workerPools[0].size",
      ]),
    );
    expect(byField["spec.clusterName"]).toBe("is required");
  });

  it("unknown fields of our own kinds are pruned, those of others are kept", () => {
    const template = draft(vsphereMachineTemplate, {
      spec: { template: { spec: { template: "t", network: { devices: [] }, newerField: 1 } } },
    });
    const kept = admit(vsphereMachineTemplate, template);
    expect(kept).toMatchObject({ object: { spec: { template: { spec: { newerField: 1 } } } } });
  });

  it("a MachineDeployment gets the defaults of CAPI's webhook", () => {
    const answer = admit(
      machineDeployment,
      draft(machineDeployment, {
        spec: {
          clusterName: "c1",
          selector: {},
          template: {
            spec: {
              clusterName: "c1",
              bootstrap: {},
              infrastructureRef: {
                apiGroup: "infrastructure.cluster.x-k8s.io",
                kind: "VSphereMachineTemplate",
                name: "w",
              },
            },
          },
        },
      }),
    );
    const label = { "cluster.x-k8s.io/cluster-name": "c1" };
    expect(answer).toMatchObject({
      object: {
        metadata: { labels: label },
        spec: {
          replicas: 1,
          selector: { matchLabels: label },
          template: { metadata: { labels: label } },
          rollout: { strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } } },
        },
      },
    });
  });

  it("addresses in a template are refused, as CAPV's webhook refuses them", () => {
    const answer = admit(
      vsphereMachineTemplate,
      draft(vsphereMachineTemplate, {
        spec: {
          template: {
            spec: { template: "t", network: { devices: [{ networkName: "n", ipAddrs: ["10.0.0.1/24"] }] } },
          },
        },
      }),
    );
    expect(answer).toMatchObject({ problems: [{ field: "spec.template.spec.network.devices[0].ipAddrs" }] });
  });

  it("stringData of a Secret becomes data", () => {
    const answer = admit(secret, draft(secret, { stringData: { password: "pässword" } }));
    if (!("object" in answer)) throw new Error("refused");
    expect(answer.object).not.toHaveProperty("stringData");
    expect(answer.object).toMatchObject({ type: "Opaque" });
    expect(secretText(answer.object as never, "password")).toBe("pässword");
  });
});
