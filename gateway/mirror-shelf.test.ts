import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  makeBoxKey,
  openDatabase,
  sealBox,
  silentLogger,
  type BoxKey,
  type Database,
  type Resource,
} from "#core";
import { fakeClock } from "#core/time/fake-clock.ts";
import {
  desiredStateSchema,
  mirrorContext,
  mirrorDigest,
  packMirror,
  partsOf,
  type MirrorDocument,
} from "#proto";
import { mirrorToken } from "./mirror-key.ts";
import { mirrorMigration, mirrorShelf, type MirrorShelf } from "./mirror-shelf.ts";

const desired = desiredStateSchema.parse({
  clusterUid: "u1",
  clusterName: "c1",
  cloud: { type: "vsphere", server: "vc.test" },
  placement: { datacenter: "DC0", computeCluster: "C0", networkName: "n", ipPoolRef: { name: "edge" } },
  kubernetesVersion: "v1.35.4",
});

function secretObject(name: string, value: string): Resource {
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: {
      name,
      namespace: "cluster-u1",
      uid: name,
      resourceVersion: "1",
      generation: 1,
      creationTimestamp: "",
    },
    ...({ data: { key: value } } as object),
  };
}

function document(value: string, change: Partial<MirrorDocument> = {}): MirrorDocument {
  const objects = [secretObject("c1-ca", value)];
  return {
    schema: 1,
    clusterUid: "u1",
    clusterName: "c1",
    takenAt: "2026-01-01T00:00:00Z",
    decision: { id: "p", epoch: 1 },
    counter: 1,
    desired,
    digest: mirrorDigest(objects),
    objects,
    ...change,
  };
}

/** Bytes that gzip makes no smaller, so that a mirror has several parts. */
function noise(bytes: number, seed: number): string {
  const buffer = Buffer.alloc(bytes);
  for (let at = 0, x = seed; at < bytes; at++) buffer[at] = (x = (x * 1103515245 + 12345) & 0x7fffffff) >> 16;
  return buffer.toString("base64");
}

let db: Database;
let key: BoxKey;
let shelf: MirrorShelf;
const clock = fakeClock();

beforeEach(async () => {
  db = await openDatabase(":memory:", { migrations: [mirrorMigration] });
  key = makeBoxKey();
  shelf = mirrorShelf({ db, key, clock, log: silentLogger });
});
afterEach(() => db.close());

function sealed(doc: MirrorDocument, sequence: number, by: { key?: BoxKey; uid?: string } = {}) {
  const reader = by.key ?? key;
  const to = { publicKey: reader.publicKey, token: mirrorToken(reader, by.uid ?? "u1") };
  return partsOf("u1", sequence, sealBox(to, packMirror(doc), mirrorContext("u1", sequence)));
}

async function takeAll(parts: ReturnType<typeof sealed>): Promise<boolean> {
  let whole = false;
  for (const part of parts) whole = (await shelf.take(part)) || whole;
  return whole;
}

describe("the shelf of mirrors", () => {
  it("keeps what an agent sent, and nobody who reads the disk finds a word of it", async () => {
    const doc = document("QSBDQSBrZXk=");
    expect(await takeAll(sealed(doc, 5))).toBe(true);
    const { schema: _, ...mirrored } = doc;
    expect(await shelf.latest("u1")).toEqual(mirrored);
    expect(await shelf.about("u1")).toMatchObject({ digest: doc.digest, epoch: 1, counter: 1, sequence: 5 });
    expect(await shelf.have()).toEqual({ u1: doc.digest });
    const rows = await db.all<{ box: Uint8Array }>("SELECT box FROM mirror");
    expect(Buffer.from(rows[0]!.box).toString("latin1")).not.toMatch(/c1-ca|QSBDQSBrZXk/);
  });

  it("puts parts together in whatever order they come, and never those of two mirrors", async () => {
    const [old, young] = [document(noise(500_000, 1)), document(noise(700_000, 2))];
    const [first, second] = [sealed(old, 5), sealed(young, 6)];
    expect(first.length).toBeGreaterThan(1);
    const seed = Date.now() % 1e6;
    const shuffled = [...first, ...second]
      .map((part, at) => ({ part, at: ((at + 1) * (seed * 2 + 1) * 7919) % 104729 }))
      .sort((a, b) => a.at - b.at)
      .map(({ part }) => part);
    await takeAll(shuffled);
    expect((await shelf.latest("u1"))?.digest, `seed ${seed}`).toBe(young.digest);
    expect(await db.all("SELECT * FROM mirror_part")).toEqual([]);
  });

  it("never goes backwards: by epoch first, then by sequence", async () => {
    await takeAll(sealed(document("Yg==", { decision: { id: "p2", epoch: 2 } }), 9));
    await takeAll(sealed(document("YQ==", { decision: { id: "p1", epoch: 1 } }), 10));
    expect((await shelf.latest("u1"))?.decision.epoch).toBe(2);
    expect(await takeAll(sealed(document("Yw=="), 4))).toBe(false);
    await takeAll(sealed(document("ZA==", { decision: { id: "p2", epoch: 2 } }), 11));
    expect((await shelf.latest("u1"))?.objects[0]).toMatchObject({ data: { key: "ZA==" } });
  });

  it("keeps two of a cluster, and falls back on the older where the newer is damaged", async () => {
    for (const [at, value] of ["YQ==", "Yg==", "Yw=="].entries())
      await takeAll(sealed(document(value), at + 1));
    expect(await db.all("SELECT sequence FROM mirror ORDER BY sequence")).toEqual([
      { sequence: 2 },
      { sequence: 3 },
    ]);
    await db.write((tx) => tx.run("UPDATE mirror SET box = x'0102' WHERE sequence = 3"));
    expect((await shelf.latest("u1"))?.objects[0]).toMatchObject({ data: { key: "Yg==" } });
  });

  it.each<[string, () => Promise<unknown>]>([
    ["another cluster's agent", () => takeAll(sealed(document("YQ=="), 5, { uid: "u2" }))],
    ["a gateway key of the past", () => takeAll(sealed(document("YQ=="), 5, { key: makeBoxKey() }))],
    [
      "an agent that speaks of another cluster",
      () => takeAll(sealed(document("YQ==", { clusterUid: "u2" }), 5)),
    ],
    [
      "the plane, which replays a part under another number",
      () => takeAll(sealed(document("YQ=="), 5).map((part) => ({ ...part, sequence: 99 }))),
    ],
  ])("does not believe %s", async (_who, take) => {
    expect(await take()).toBe(false);
    expect(await shelf.clusters()).toEqual([]);
    expect(await db.all("SELECT * FROM mirror_part WHERE sequence = 5")).toEqual([]);
  });

  it("what deletion forgot stays forgotten, whatever comes late", async () => {
    const parts = sealed(document(noise(500_000, 3)), 5);
    await shelf.take(parts[0]!);
    await shelf.forget("u1");
    expect(await takeAll(parts)).toBe(false);
    expect(await takeAll(sealed(document("YQ=="), 7))).toBe(false);
    const { schema: _, ...mirrored } = document("YQ==");
    await shelf.keep(mirrored);
    expect([await shelf.clusters(), await shelf.latest("u1"), await shelf.isForgotten("u1")]).toEqual([
      [],
      undefined,
      true,
    ]);
  });

  it("a copy of Jet's own is newer than all before, and older than the agent's next", async () => {
    await takeAll(sealed(document("YQ=="), 5));
    const { schema: _, ...own } = document("Yg==");
    await shelf.keep(own);
    expect(await shelf.about("u1")).toMatchObject({ digest: own.digest, sequence: 6 });
    expect(await takeAll(sealed(document("Yw=="), 7))).toBe(true);
    expect((await shelf.latest("u1"))?.objects[0]).toMatchObject({ data: { key: "Yw==" } });
  });
});
