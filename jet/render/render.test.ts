// Golden texts: what a wish becomes, to be read aloud. Set `rewrite` to true for one run after a change that is meant, and read the diff.
import { readFile, writeFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { Secret, type Draft, type Kind, type Resource } from "#core";
import {
  cluster,
  deployment,
  inClusterIPPool,
  ipAddressClaim,
  kubeadmControlPlane,
  secret,
  vsphereCluster,
  vsphereMachineTemplate,
} from "#proto";
import { addressNeeds } from "#proto/render/addresses.ts";
import { dropEmpty, boundedName, includes, overlay } from "#proto/render/shape.ts";
import { workerName } from "#proto/render/names.ts";
import { agentObjects } from "../providers.ts";
import { wish } from "../testing/world.ts";
import { renderedObjects, resolved, wishes } from "../testing/rendered.ts";
import { childPool } from "./cluster.ts";
import { controlPlane } from "./control-plane.ts";
import { etcdSecrets } from "./etcd.ts";
import { leaseClaim, leaseNames } from "./lease.ts";

const rewrite = false;

const rich = wishes["DHCP, a name for the API, its own rules for nodes"];
const external = wishes["an etcd of the site, an endpoint that is there already"];

function text(objects: readonly Draft<Resource>[]): string {
  return objects
    .map((object) => stringify(object, { lineWidth: 0, aliasDuplicateObjects: false }))
    .join("---\n");
}

/** Without Secrets and pools, which have a text of their own. */
function whole(spec: ReturnType<typeof wish>): Draft<Resource>[] {
  return renderedObjects(spec)
    .filter(({ kind }) => kind !== secret && kind !== inClusterIPPool)
    .map(({ object }) => object);
}

async function golden(name: string, got: string): Promise<void> {
  const path = new URL(`testdata/${name}.yaml`, import.meta.url);
  if (rewrite) await writeFile(path, got);
  expect(got).toBe(await readFile(path, "utf8"));
}

describe("the objects of a cluster", () => {
  it("read as written down: static addresses, an address for the API from the pool", async () => {
    await golden("static-vip", text(whole(wish())));
  });

  it("read as written down: DHCP, a name for the API, its own rules for nodes", async () => {
    await golden("dhcp-ddns", text(whole(rich)));
  });

  it("read as written down: an etcd of the site, an endpoint that is there already", async () => {
    const objects = [
      ...etcdSecrets(external, { ca: "Q0E=", certificate: "Q1JU", key: new Secret("S0VZ") }),
      controlPlane(external, resolved, "c1-cp-1", 1),
    ];
    const read = text(objects);
    await golden("external-etcd", read);
    expect(read).not.toContain("kube-vip");
  });

  it("read as written down: several places for the control plane", async () => {
    const kinds = new Set(["VSphereFailureDomain", "VSphereDeploymentZone", "VSphereCluster"]);
    await golden(
      "failure-domains",
      text(whole(wishes["several places for the control plane"]).filter(({ kind }) => kinds.has(kind!))),
    );
  });

  it("read as written down: lease and child pool", async () => {
    const [need] = addressNeeds(wish());
    const [name] = leaseNames(wish(), need!);
    const leased = ["10.0.0.11", "10.0.0.12"].map((address) => ({
      address,
      prefix: 24,
      gateway: "10.0.0.1",
    }));
    await golden(
      "addresses",
      text([leaseClaim(wish(), need!, name!), childPool(wish(), need!.child, leased)]),
    );
  });

  it("read as written down: what goes into the workload cluster", async () => {
    const trust = { signingKey: "KEY" };
    const config = { config: new Secret("{}"), version: "1" };
    const images = { mirror: "registry.test/mirror", pullSecret: config };
    const objects = agentObjects(wish(), "pcg-agent:1", images, trust, "one-time").map(
      ({ object }) => object,
    );
    await golden("install", text(objects));
  });

  it("take all images from the site's registry where there is one", () => {
    const plane = text(whole(wishes["a registry of the site"]));
    expect(plane).toContain("image: registry.test:5000/mirror/kube-vip/kube-vip:v1.0.1");
    expect(plane).toContain("imageRepository: registry.test:5000/mirror\n");
    expect(plane).toContain("imageRepository: registry.test:5000/mirror/coredns\n");
    expect(plane).not.toMatch(/ghcr\.io|registry\.k8s\.io/);
  });

  it("are what the kinds accept as they are", () => {
    const kinds: readonly Kind[] = [
      vsphereMachineTemplate,
      kubeadmControlPlane,
      vsphereCluster,
      cluster,
      ipAddressClaim,
      inClusterIPPool,
      deployment,
    ];
    const [need] = addressNeeds(wish());
    const drafts = [
      ...whole(wish()),
      ...whole(rich),
      leaseClaim(wish(), need!, leaseNames(wish(), need!)[0]!),
      childPool(wish(), "c1", [{ address: "10.0.0.11", prefix: 24 }]),
      ...agentObjects(wish(), "pcg-agent:1", {}, {}).map(({ object }) => object),
    ];
    for (const draft of drafts) {
      const kind = kinds.find((k) => k.kind === draft.kind);
      const answer = kind?.admit?.(draft as Resource) ?? { object: draft };
      expect(answer, draft.metadata.name ?? "").not.toHaveProperty("problems");
    }
  });

  it.each(Object.entries(wishes))("have no owner of ours, whatever is wished: %s", (_name, spec) => {
    // One owner outside the moved set would take the Cluster out of any move.
    for (const { object } of renderedObjects(spec)) expect(object.metadata.ownerReferences).toBeUndefined();
  });

  it.each(Object.entries(wishes))("have names and labels that an API server takes: %s", (_name, spec) => {
    for (const { object } of renderedObjects(spec)) {
      const { name = "", namespace = "", labels = {} } = object.metadata;
      expect(name).toMatch(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/);
      expect(name.length, name).toBeLessThanOrEqual(object.kind === "Secret" ? 253 : 63);
      expect(namespace.length, namespace).toBeLessThanOrEqual(63);
      for (const value of Object.values(labels)) expect(value.length, value).toBeLessThanOrEqual(63);
    }
  });

  it.each(Object.entries(wishes))(
    "put the Cluster last, and before the control plane what it needs: %s",
    (_name, spec) => {
      const kinds = renderedObjects(spec).map(({ object }) => object.kind);
      expect(kinds.at(-1)).toBe("Cluster");
      expect(kinds.slice(kinds.indexOf("KubeadmControlPlane"))).not.toContain("Secret");
    },
  );
});

describe("address needs", () => {
  it("count what an autoscaler may make of a pool", () => {
    const count = (pool: object) =>
      addressNeeds(wish({ workerPools: [{ name: "a", size: 2, ...pool }] }))[0]?.count;
    const plain = count({})!;
    expect(count({ minSize: 1, maxSize: 9 })).toBe(plain + 7);
    expect(count({ minSize: 1, maxSize: 2 })).toBe(plain);
  });

  it("are nodes + 3 for the control plane's pool, nodes + 1 for another, in child pools of different names", () => {
    const other = { ...wish().placement, ipPoolRef: { name: "dmz", namespace: "pools" } };
    const needs = addressNeeds(
      wish({
        controlPlane: { replicas: 3 },
        workerPools: [
          { name: "a", size: 2 },
          { name: "b", size: 4, placement: other },
        ],
      }),
    );
    expect(needs.map(({ child, count, nodes, vip, field }) => ({ child, count, nodes, vip, field }))).toEqual(
      [
        { child: "c1", count: 8, nodes: 5, vip: true, field: "placement.ipPoolRef" },
        {
          child: expect.stringMatching(/^c1-[0-9a-f]{6}$/) as string,
          count: 5,
          nodes: 4,
          vip: false,
          field: "workerPools[1].placement.ipPoolRef",
        },
      ],
    );
    const names = needs.flatMap((need) => leaseNames(wish(), need).map((n) => `${n.namespace}/${n.name}`));
    expect(new Set(names).size).toBe(13);
    expect(names).toContain("default/u1-lease-0");
  });

  it("lie in the cluster's own namespace where the parent is a global pool", () => {
    const spec = wish({
      placement: { ...wish().placement, ipPoolRef: { kind: "GlobalInClusterIPPool", name: "all" } },
    });
    const [need] = addressNeeds(spec);
    expect(leaseNames(spec, need!)[0]).toEqual({ namespace: "cluster-u1", name: "c1-lease-0" });
  });

  it("are none with DHCP", () => {
    expect(addressNeeds(rich)).toEqual([]);
  });
});

describe("shapes", () => {
  it("drop what means nothing, and keep what does when it is empty", () => {
    expect(
      dropEmpty({
        a: "",
        b: [],
        c: {},
        d: { e: undefined },
        f: 0,
        g: false,
        taints: [],
        labels: { x: "" },
        h: ["", 1],
      }),
    ).toEqual({ f: 0, g: false, taints: [], labels: { x: "" }, h: [1] });
  });

  it("bound names, and keep them apart", () => {
    const long = "a".repeat(60);
    expect(boundedName("c1", "-cp")).toBe("c1-cp");
    expect(boundedName(long, "-cp", 57)).toHaveLength(57);
    expect(boundedName(long, "-cp", 57)).not.toBe(boundedName(`${long}b`, "-cp", 57));
    expect(workerName(long, "b".repeat(63)).length).toBeLessThanOrEqual(51);
  });

  it("see whether an object holds what is wanted, and lay it over", () => {
    const have = { a: 1, b: { c: [1, 2], d: "kept" } };
    expect(includes(have, { b: { c: [1, 2] } })).toBe(true);
    expect(includes(have, { b: { c: [1] } })).toBe(false);
    expect(includes({}, { a: undefined })).toBe(true);
    expect(overlay(have, { b: { c: [3] }, e: { f: 1 } })).toEqual({
      a: 1,
      b: { c: [3], d: "kept" },
      e: { f: 1 },
    });
  });
});
