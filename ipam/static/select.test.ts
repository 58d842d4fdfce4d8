import { describe, expect, test } from "vitest";
import {
  inClusterIPPool,
  globalInClusterIPPool,
  metal3IPPool,
  type InClusterIPPool,
  type Metal3IPPool,
} from "#proto";
import { knownMetal3Pool, knownPool } from "../inventory/index.ts";
import { asksForPool, selectPool, wishOf, type Candidate } from "./select.ts";

type Labels = Record<string, string>;
const meta = (name: string, labels: Labels, namespace?: string) => ({
  name,
  ...(namespace ? { namespace } : {}),
  labels,
  uid: name,
  resourceVersion: "1",
  generation: 1,
  creationTimestamp: "2026-01-01T00:00:00Z",
});
const spec = { addresses: ["10.0.0.10-10.0.0.12"], prefix: 24 };
const own = (name: string, labels: Labels = {}, namespace = "c"): Candidate => ({
  pool: knownPool(inClusterIPPool, {
    apiVersion: "ipam.cluster.x-k8s.io/v1alpha2",
    kind: inClusterIPPool.kind,
    metadata: meta(name, labels, namespace),
    spec,
  } as InClusterIPPool),
  free: 3n,
});
const everywhere = (name: string, labels: Labels = {}): Candidate => ({
  pool: knownPool(globalInClusterIPPool, {
    apiVersion: "ipam.cluster.x-k8s.io/v1alpha2",
    kind: globalInClusterIPPool.kind,
    metadata: meta(name, labels),
    spec,
  } as InClusterIPPool),
  free: 3n,
});
const metal3 = (name: string, labels: Labels = {}): Candidate => ({
  pool: knownMetal3Pool({
    apiVersion: "ipam.metal3.io/v1alpha1",
    kind: metal3IPPool.kind,
    metadata: meta(name, labels, "c"),
    spec: { namePrefix: "n", allocationStrategy: "sequential", pools: [{ subnet: "10.0.0.0/24" }] },
  } as Metal3IPPool),
  free: 3n,
});
const full = (candidate: Candidate): Candidate => ({ ...candidate, free: 0n });

const name = "cluster.x-k8s.io/ip-pool-name";
const group = "cluster.x-k8s.io/ip-pool-group";
const network = "cluster.x-k8s.io/network-name";
const zone = "ipam.pcg.dev/zone";
const list = "ipam.pcg.dev/ip-pools";

describe("which pool is taken", () => {
  test.each<
    [string, Parameters<typeof wishOf>[0], string | undefined, string | undefined, Candidate[], string]
  >([
    ["by name", { labels: { [name]: "b" } }, undefined, undefined, [own("a"), own("b")], "c/b"],
    [
      "by name, not from another namespace",
      { labels: { [name]: "b" } },
      undefined,
      undefined,
      [own("b", {}, "d")],
      "there is no pool c/b",
    ],
    [
      "by name, a cluster-scoped one where there is no nearer",
      { labels: { [name]: "b" } },
      undefined,
      undefined,
      [everywhere("b")],
      "/b",
    ],
    [
      "by name, the nearer one",
      { labels: { [name]: "b" } },
      undefined,
      undefined,
      [everywhere("b"), own("b")],
      "c/b",
    ],
    [
      "by group, in order of names and not of the list",
      { labels: { [group]: "x" } },
      undefined,
      undefined,
      [own("z", { [group]: "x" }), own("a", { [group]: "x" }), own("0", { [group]: "y" })],
      "c/a",
    ],
    [
      "by group and network, both equal",
      { labels: { [group]: "x", [network]: "n" } },
      undefined,
      undefined,
      [own("a", { [group]: "x" }), own("b", { [group]: "x", [network]: "n" })],
      "c/b",
    ],
    [
      "none fits",
      { labels: { [group]: "x" } },
      undefined,
      undefined,
      [own("a")],
      "no pool in namespace c has cluster.x-k8s.io/ip-pool-group=x",
    ],
    [
      "of its zone before one for all",
      { labels: { [group]: "x" } },
      "z1",
      undefined,
      [
        own("a", { [group]: "x" }),
        own("b", { [group]: "x", [zone]: "z1" }),
        own("0", { [group]: "x", [zone]: "z2" }),
      ],
      "c/b",
    ],
    [
      "of the card's network before others",
      { labels: { [group]: "x" } },
      undefined,
      "/DC0/network/storage",
      [own("a", { [group]: "x" }), own("b", { [group]: "x", [network]: "storage" })],
      "c/b",
    ],
    [
      "Metal3's before others",
      { labels: { [group]: "x" } },
      undefined,
      undefined,
      [own("a", { [group]: "x" }), metal3("z", { [group]: "x" })],
      "c/z",
    ],
    [
      "a full one by labels stays the one",
      { labels: { [group]: "x" } },
      undefined,
      undefined,
      [full(own("a", { [group]: "x" })), own("b", { [group]: "x" })],
      "c/a",
    ],
    [
      "of an ordered list the first with room",
      { annotations: { [list]: "a, d/b ,c" } },
      undefined,
      undefined,
      [full(own("a")), own("b", {}, "d"), own("c")],
      "d/b",
    ],
    [
      "of an ordered list the first when all are full",
      { annotations: { [list]: "b,a" } },
      undefined,
      undefined,
      [full(own("a")), full(own("b"))],
      "c/b",
    ],
  ])("%s", (_, from, inZone, cardNetwork, candidates, expected) => {
    const wish = wishOf(from, "c", { zone: inZone, cardNetwork });
    const got = selectPool(wish, candidates, "c");
    const { namespace = "", name: took } = got.kind === "pool" ? got.candidate.pool.pointer : { name: "" };
    expect(got.kind === "pool" ? `${namespace}/${took}` : got.message).toBe(expected);
  });

  test("who asks for nothing is given nothing", () => {
    expect(asksForPool(wishOf({}, "c", { zone: "z1", cardNetwork: "n" }))).toBe(false);
    expect(
      asksForPool(wishOf({ labels: { [group]: "x" } }, "c", { zone: undefined, cardNetwork: undefined })),
    ).toBe(true);
  });
});
