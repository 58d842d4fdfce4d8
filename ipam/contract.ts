// The suite of the ipam controllers, for any store with real time: memory and SQLite here, a real kube-apiserver in test/peers.
// Kinds needed there: ipamKinds, cluster, vsphereVM; Lease is built in. Import by path: only tests do.
import { readFileSync } from "node:fs";
import { parseAllDocuments } from "yaml";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  isFault,
  leases,
  runControllers,
  silentLogger,
  systemClock,
  type Draft,
  type Key,
  type Kind,
  type Resource,
  type ResourceStore,
} from "#core";
import {
  cluster,
  globalInClusterIPPool,
  inClusterIPPool,
  ipAddress,
  ipAddressClaim,
  namespace,
  vsphereVM,
} from "#proto";
import { ipamControllers } from "./index.ts";
import { claimDraft, poolDraft } from "./testing.ts";

export interface IpamContractStore {
  readonly store: ResourceStore;
  /** A further line to the same data, as another process has it. */
  readonly another: () => Promise<ResourceStore>;
  readonly close: () => Promise<void>;
}

export function ipamContract(
  name: string,
  open: () => Promise<IpamContractStore>,
  patienceMs = 18_000,
): void {
  describe(`ipam on ${name}`, () => {
    let opened: IpamContractStore;
    let store: ResourceStore;
    let stop: AbortController;
    const stopped: Promise<void>[] = [];

    beforeEach(async () => {
      opened = await open();
      store = opened.store;
      stop = new AbortController();
      await run(store);
    });
    afterEach(async () => {
      stop.abort();
      await Promise.all(stopped.splice(0));
      await opened.close();
    });

    /** Starts the controllers, as one process does. */
    async function run(on: ResourceStore): Promise<void> {
      const deps = { store: on, clock: systemClock, log: silentLogger, random: Math.random };
      const running = runControllers(deps, ipamControllers(deps), stop.signal);
      stopped.push(running.stopped);
      await running.ready;
    }

    async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
      for (const deadline = Date.now() + patienceMs; !(await holds());) {
        if (Date.now() > deadline) throw new Error(`not in ${patienceMs} ms: ${what}\n${await inventory()}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }

    /** What there is, for the message of a test that waited in vain. */
    async function inventory(): Promise<string> {
      const kinds: readonly Kind[] = [inClusterIPPool, ipAddressClaim, ipAddress, leases];
      const lists = await Promise.all(kinds.map((kind) => store.list(kind)));
      return lists.flatMap(({ items }) => items.map((item) => JSON.stringify(item))).join("\n");
    }

    async function make<R extends Resource>(kind: Kind<R>, draft: Draft<R>): Promise<R> {
      return store.create(kind, draft);
    }

    async function ensureNamespace(wanted: string): Promise<void> {
      await store.create(namespace, { metadata: { name: wanted } }).catch((error: unknown) => {
        if (!isFault(error, "AlreadyExists")) throw error;
      });
    }

    const isBound = async (key: Key) =>
      (await store.get(ipAddressClaim, key))?.status?.addressRef !== undefined;

    test("objects are exactly what the in-cluster provider writes", async () => {
      const text = readFileSync(new URL("testdata/in-cluster.yaml", import.meta.url), "utf8");
      const golden = parseAllDocuments(text).map((document) => document.toJS() as Resource);
      const kinds: readonly Kind[] = [inClusterIPPool, globalInClusterIPPool, ipAddressClaim, ipAddress];
      const kindOf = (object: Resource) => kinds.find(({ kind }) => kind === object.kind) as Kind;
      const keyIn = ({ metadata }: Resource): Key =>
        metadata.namespace ? { name: metadata.name, namespace: metadata.namespace } : { name: metadata.name };

      await ensureNamespace("cluster-1");
      await make(cluster, {
        metadata: { namespace: "cluster-1", name: "c1" },
        spec: { infrastructureRef: { apiGroup: vsphereVM.group, kind: "VSphereCluster", name: "c1" } },
      });
      const uids = new Map<string, string>(); // theirs to ours
      for (const { metadata } of golden)
        for (const owner of metadata.ownerReferences ?? []) {
          if (owner.kind !== vsphereVM.kind || uids.has(owner.uid)) continue;
          const spec = { server: "vcenter", template: "t", network: { devices: [{ networkName: "net" }] } };
          const draft = { metadata: { namespace: "cluster-1", name: owner.name }, spec };
          uids.set(owner.uid, (await make(vsphereVM as Kind, draft)).metadata.uid);
        }
      const translated = <T>(value: T): T =>
        JSON.parse(
          [...uids].reduce((all, [their, our]) => all.replaceAll(their, our), JSON.stringify(value)),
        ) as T;

      // What people and CAPV wrote of it, in the order in which they did.
      const inputs = golden
        .filter(({ kind }) => kind !== ipAddress.kind)
        .sort((a, b) => a.metadata.creationTimestamp.localeCompare(b.metadata.creationTimestamp));
      for (const { status, ...object } of inputs) {
        const finalizers = (object.metadata.finalizers ?? []).filter(
          (each) => !each.startsWith("ipam.cluster"),
        );
        const { uid: _u, resourceVersion: _r, ...metadata } = translated(object.metadata);
        await make(kindOf(object), { ...object, metadata: { ...metadata, finalizers } });
        const wanted = (status as { addressRef?: unknown } | undefined)?.addressRef;
        if (wanted) await until(`${object.metadata.name} is bound`, () => isBound(keyIn(object)));
      }

      for (const object of golden) {
        const made = await store.get(kindOf(object), keyIn(object));
        uids.set(object.metadata.uid, made?.metadata.uid ?? "not made");
      }
      // uids, times, revisions and bookkeeping are the store's; the claim's Ready condition is ours on purpose: the contract asks for it.
      const plain = (object: Resource) => {
        const {
          uid: _u,
          creationTimestamp: _c,
          resourceVersion: _r,
          managedFields: _m,
          ...meta
        } = object.metadata;
        const {
          conditions: _s,
          deprecated: _d,
          ...status
        } = (object.status ?? {}) as Record<string, unknown>;
        const { apiVersion, kind, spec } = object;
        const metadata = translated(meta);
        return { apiVersion, kind, spec, metadata, ...(Object.keys(status).length > 0 ? { status } : {}) };
      };
      for (const want of golden) {
        let have: unknown;
        const right = plain(want);
        await until(`${want.kind} ${want.metadata.name} is as upstream writes it`, async () => {
          const found = await store.get(kindOf(want), keyIn(want));
          have = found && plain(found);
          return JSON.stringify(sorted(have)) === JSON.stringify(sorted(right));
        }).catch(() => {}); // the comparison below says what differs
        expect(have, `${want.kind} ${want.metadata.name}`).toEqual(right);
      }
      const { items } = await store.list(ipAddress, { namespace: "cluster-1" });
      expect(items).toHaveLength(golden.filter(({ kind }) => kind === ipAddress.kind).length);
      await until("no reservation is left", async () => (await reservations("cluster-1")) === 0);
    });

    async function reservations(inNamespace: string): Promise<number> {
      const { items } = await store.list(leases, { namespace: inNamespace });
      return items.filter(({ metadata }) => metadata.name.startsWith("ip-")).length;
    }

    test("two processes serve a crowd of claims: every address once, then all come back", async () => {
      const place = `crowd-${Math.random().toString(36).slice(2, 8)}`;
      await ensureNamespace(place);
      await run(await opened.another());
      const pool = poolDraft({ addresses: ["10.0.0.10-10.0.0.29"] });
      await make(inClusterIPPool, { ...pool, metadata: { namespace: place, name: "nodes" } });
      const names = Array.from({ length: 24 }, (_, at) => `claim-${at}`);
      await Promise.all(names.map((each) => make(ipAddressClaim, claimDraft(each, { namespace: place }))));
      const texts = async () => {
        const { items } = await store.list(ipAddress, { namespace: place });
        return items.map(({ spec }) => spec.address);
      };
      const bound = async () => {
        const { items } = await store.list(ipAddressClaim, { namespace: place });
        return items.filter(({ status }) => status?.addressRef).map(({ metadata }) => metadata.name);
      };
      await until("twenty claims are bound", async () => (await bound()).length === 20);
      expect(new Set(await texts()).size).toBe(20);

      const [first = ""] = await bound();
      await store.delete(ipAddressClaim, { namespace: place, name: first });
      await until("a waiter got the freed address", async () => {
        const now = await bound();
        return now.length === 20 && !now.includes(first);
      });
      expect(new Set(await texts()).size).toBe(20);

      for (const each of names)
        await store.delete(ipAddressClaim, { namespace: place, name: each }).catch((error: unknown) => {
          if (!isFault(error, "NotFound")) throw error;
        });
      await store.delete(inClusterIPPool, { namespace: place, name: "nodes" });
      await until("everything is gone", async () => {
        const pools = await store.list(inClusterIPPool, { namespace: place });
        const claims = await store.list(ipAddressClaim, { namespace: place });
        return (
          pools.items.length + claims.items.length + (await texts()).length + (await reservations(place)) ===
          0
        );
      });
    });
  });
}

/** Members in alphabetical order, so that equal things have equal text. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => a.localeCompare(b))
      .map(([key, inner]) => [key, sorted(inner)]),
  );
}
