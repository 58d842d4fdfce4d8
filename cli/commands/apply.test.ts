import { describe, expect, it } from "vitest";
import { Fault, type OwnedStore } from "#core";
import { memoryStore } from "#core/store/memory-store.ts";
import { fakeClock } from "#core/time/fake-clock.ts";
import { inClusterIPPool } from "#proto";
import type { PlaneClient } from "#plane";
import { applyDocuments, readDocuments } from "./apply.ts";
import { kindByWord } from "./kinds.ts";

const pool = `apiVersion: ipam.cluster.x-k8s.io/v1alpha2
kind: InClusterIPPool
metadata: { name: nodes }
spec: { addresses: [10.0.0.10-10.0.0.20], prefix: 24 }
`;
const cluster = `apiVersion: plane.pcg.dev/v1
kind: VsphereCluster
metadata: { name: shop-1 }
spec: {}
`;

function plane(overlords: string[], existing: string[] = []) {
  const created: unknown[] = [];
  const client = {
    overlords: async () => overlords.map((uid) => ({ metadata: { name: `gateway-${uid}`, uid } })),
    clusters: async () => existing.map((name) => ({ metadata: { name, uid: `uid-of-${name}` } })),
    createCluster: async (entity: unknown, overlordUid?: string) => (
      created.push({ entity, overlordUid }),
      "new-uid"
    ),
  } as unknown as PlaneClient;
  return { client, created };
}

async function apply(
  text: string,
  client: PlaneClient,
  store: OwnedStore = memoryStore({ clock: fakeClock() }),
) {
  const said: string[] = [];
  const sides = { plane: async () => client, gateway: async () => store };
  for await (const applied of applyDocuments(readDocuments(text, "f.yaml"), sides)) said.push(applied.text);
  return { said, store };
}

describe("pcg apply", () => {
  it("sends each document to its side, and the second time changes nothing", async () => {
    const { client, created } = plane(["gw-1"]);
    const { said, store } = await apply(`${pool}---\n${cluster}`, client);
    expect(said).toEqual(["inclusterippool nodes created", "cluster shop-1 created"]);
    expect(created).toEqual([{ entity: { metadata: { name: "shop-1" }, spec: {} }, overlordUid: "gw-1" }]);
    expect(await store.get(inClusterIPPool, { namespace: "default", name: "nodes" })).toBeDefined();
    const again = await apply(`${pool}---\n${cluster}`, plane(["gw-1"], ["shop-1"]).client, store);
    expect(again.said).toEqual([
      "inclusterippool nodes unchanged",
      "cluster shop-1 unchanged (it exists already)",
    ]);
    const changed = await apply(pool.replace(".20", ".30"), client, store);
    expect(changed.said).toEqual(["inclusterippool nodes configured"]);
  });

  it.each([
    ["no gateway", [], /no gateway is paired.*pcg gateway pair CODE/],
    ["two gateways", ["a", "b"], /which gateway.*overlordUid.*gateway-a \(a\), gateway-b \(b\)/],
  ] as [string, string[], RegExp][])("does not guess with %s", async (_, overlords, words) => {
    await expect(apply(cluster, plane(overlords).client)).rejects.toThrow(words);
  });

  it("names every document that is no object before anything is sent", () => {
    const read = () =>
      readDocuments(`${pool}---\njust text\n---\n{ apiVersion: v1 }\n---\n: : :\n  - [`, "f.yaml");
    expect(read).toThrow(Fault);
    try {
      read();
    } catch (error) {
      expect((error as Fault).problems.map((p) => p.field)).toEqual(
        expect.arrayContaining(["f.yaml, document 2", "f.yaml, document 3"]),
      );
    }
  });

  it("names a kind that a gateway does not have", async () => {
    await expect(
      apply("apiVersion: v9\nkind: Thing\nmetadata: { name: x }", plane([]).client),
    ).rejects.toThrow(/f\.yaml, document 1: there is no kind Thing in v9/);
  });
});

describe("words for kinds", () => {
  it.each([
    "spa",
    "SpectroProvisioningAgent",
    "spectroprovisioningagents",
    "spectroprovisioningagents.jet.pcg.dev",
  ])("knows %s", (word) => expect(kindByWord(word).kind).toBe("SpectroProvisioningAgent"));
  it("offers the nearest name for a slip", () => {
    expect(() => kindByWord("ipadresses")).toThrow(/did you mean ipaddresses/);
  });
});
