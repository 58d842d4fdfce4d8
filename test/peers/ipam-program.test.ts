// `pcg ipam run` as a process of its own on a real kube-apiserver: claims, webhooks, conversion, two at once.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isFault, modify, systemClock, type Fault, type OwnedStore, type Resource } from "#core";
import { kubeStore } from "#core/store/kube-store.ts";
import { growthKinds } from "#ipam";
import { growthAnnotation } from "#ipam/policy.ts";
import { ipamCrd } from "#ipam/program/crds.ts";
import {
  cardOn,
  claimOf,
  clusterDraft,
  deploymentDraft,
  machineDraft,
  sizes,
  templateDraft,
} from "#ipam/growth/testing.ts";
import {
  cluster,
  inClusterIPPool,
  inClusterPrefixPool,
  ipamKinds,
  ipAddress,
  ipAddressClaim,
  machineDeployment,
  metal3IPAddress,
  metal3IPClaim,
  metal3IPPool,
  metal3Kinds,
  namespace,
  vsphereMachine,
  vsphereMachineTemplate,
  type IPAddressClaim,
} from "#proto";
import { applyCrds } from "./harness/crds.ts";
import { freePorts, type Child } from "./harness/child.ts";
import { startIpam, until } from "./harness/ipam-program.ts";
import { startKube, type Kube } from "./harness/kube.ts";

let dir: string;
let kube: Kube;
let store: OwnedStore;
const running: Child[] = [];
let webhookUrl: string;

const place = "nodes";

async function start(name: string, args: readonly string[]): Promise<void> {
  running.push(await startIpam(kube, dir, name, args));
}

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "pcg-peers-"));
  kube = await startKube({ dir });
  const [port] = (await freePorts(1)) as [number];
  webhookUrl = `https://127.0.0.1:${port}`;
  await applyCrds(
    kube,
    [...ipamKinds, ...metal3Kinds, cluster, ...growthKinds].map(
      (kind) => ipamCrd(kind, { kind: "url", url: webhookUrl }) as never,
    ),
  );
  store = await kubeStore(kube.kubeconfig, { clock: systemClock });
  await store.create(namespace, { metadata: { name: place } });
  await start("ipam", [`--webhook-port=${port}`, `--webhook-url=${webhookUrl}`]);
});

afterAll(async () => {
  for (const child of running) await child.stop();
  await store?.close();
  await kube?.stop();
  rmSync(dir, { recursive: true, force: true });
});

const claimOn = (name: string, pool: string, kind = inClusterIPPool.kind) =>
  store.create(ipAddressClaim, {
    metadata: { namespace: place, name },
    spec: { poolRef: { apiGroup: inClusterIPPool.group, kind, name: pool } },
  });
const addressOf = async (name: string) => store.get(ipAddress, { namespace: place, name });
const isBound = async (name: string) =>
  (await store.get(ipAddressClaim, { namespace: place, name }))?.status?.addressRef !== undefined;

/** The message with which a write is refused. */
async function refusal(write: Promise<unknown>): Promise<string> {
  return write.then(
    () => "it was accepted",
    (error: unknown) => (error as Fault).message,
  );
}

test("claims on pools of addresses and of prefixes are bound", async () => {
  await store.create(inClusterIPPool, {
    metadata: { namespace: place, name: "v4" },
    spec: { addresses: ["10.0.0.0/30"], prefix: 30, gateway: "10.0.0.1" },
  });
  await store.create(inClusterPrefixPool, {
    metadata: { namespace: place, name: "v6" },
    spec: { prefixes: ["2001:db8::/48"], allocationPrefixLength: 64, excludedPrefixes: ["2001:db8::1"] },
  });
  await claimOn("a", "v4");
  await claimOn("p", "v6", inClusterPrefixPool.kind);
  await until("both are bound", async () => (await isBound("a")) && (await isBound("p")));
  expect((await addressOf("a"))?.spec).toMatchObject({
    address: "10.0.0.2",
    prefix: 30,
    gateway: "10.0.0.1",
  });
  expect((await addressOf("p"))?.spec).toMatchObject({ address: "2001:db8:0:1::", prefix: 64 });
  await until("counters are there", async () => {
    const pool = await store.get(inClusterIPPool, { namespace: place, name: "v4" });
    const { total, used, free } = pool?.status?.ipAddresses ?? {};
    return total === 1 && used === 1 && free === 0;
  });
});

describe("webhooks", () => {
  test("refuse what upstream's refuse, and say what to do", async () => {
    const make = (spec: object) =>
      store.create(inClusterIPPool, { metadata: { namespace: place, name: "bad" }, spec } as never);
    expect(await refusal(make({ addresses: ["10.0.0.3", "10.0.1.3"], prefix: 24 }))).toContain(
      'spec.addresses[1]: "10.0.1.3" is outside of 10.0.0.0/24',
    );
    const pool = await store.get(inClusterIPPool, { namespace: place, name: "v4" });
    if (!pool) throw new Error("no pool");
    const shrunk = { ...pool, spec: { ...pool.spec, excludedAddresses: ["10.0.0.2"] } };
    expect(await refusal(store.update(inClusterIPPool, shrunk))).toContain("10.0.0.2");
    expect(await refusal(store.delete(inClusterIPPool, { namespace: place, name: "v4" }))).toContain(
      "Cannot delete Pool until all IPAddresses have been removed",
    );
  });

  test("refuse of Metal3's kinds what Metal3's refuse, and let through what our controllers write", async () => {
    const pool = { name: "m3", namespace: place, kind: metal3IPPool.kind };
    const key = { namespace: place, name: "m" };
    const spec = {
      pools: [{ start: "10.4.0.10", end: "10.4.0.10" }],
      namePrefix: "n",
      allocationStrategy: "sequential" as const,
    };
    await store.create(metal3IPPool, { metadata: { namespace: place, name: "m3" }, spec });
    const odd = { metadata: { ...key, annotations: { ipAddress: "10.4.0.10/24" } }, spec: { pool } };
    expect(await refusal(store.create(metal3IPClaim, odd))).toContain(
      'metadata.annotations[ipAddress]: "10.4.0.10/24" is not a valid IP address',
    );
    const claim = await store.create(metal3IPClaim, { metadata: key, spec: { pool } });
    const address = { namespace: place, name: "n-10-4-0-10" };
    await until("it has its address", async () => {
      const now = await store.get(metal3IPClaim, key);
      return now?.status?.address?.name === address.name;
    });
    const bound = (await store.get(metal3IPClaim, key)) ?? claim;
    const moved = { ...bound, spec: { pool: { ...pool, name: "other" } } };
    expect(await refusal(store.update(metal3IPClaim, moved))).toContain("spec.pool.name: cannot be modified");
    const held = await store.get(metal3IPAddress, address);
    if (!held) throw new Error("no address");
    const changed = { ...held, spec: { ...held.spec, address: "10.4.0.11" } };
    expect(await refusal(store.update(metal3IPAddress, changed))).toContain(
      "spec.address: cannot be modified",
    );
    await store.delete(metal3IPClaim, key);
    await until("claim and address are gone", async () => {
      const left = [await store.get(metal3IPClaim, key), await store.get(metal3IPAddress, address)];
      return left.every((each) => each === undefined);
    });
  });

  test("convert: a v1alpha1 pool is read as v1alpha2 and back, and serves", async () => {
    const old = { ...inClusterIPPool, version: "v1alpha1" };
    const spec = { subnet: "10.9.0.0/24", gateway: "10.9.0.1" };
    await store.create(old, { metadata: { namespace: place, name: "old" }, spec } as never);
    const now = await store.get(inClusterIPPool, { namespace: place, name: "old" });
    expect(now?.spec).toEqual({ addresses: ["10.9.0.1-10.9.0.254"], prefix: 24, gateway: "10.9.0.1" });
    const back = (await store.get(old, { namespace: place, name: "old" })) as
      (Resource & { spec?: unknown }) | undefined;
    expect(back?.spec).toEqual(spec);
    await claimOn("o", "old");
    await until("it is bound", () => isBound("o"));
    expect((await addressOf("o"))?.spec.address).toBe("10.9.0.2");
  });
});

test("counters of a pool larger than any counter are the exact text of int64", async () => {
  await store.create(inClusterPrefixPool, {
    metadata: { namespace: place, name: "vast" },
    spec: { prefixes: ["2001:db8:1::/48"], allocationPrefixLength: 128 },
  });
  await until("its counters are there", async () => {
    const found = await store.get(inClusterPrefixPool, { namespace: place, name: "vast" });
    return found?.status?.ipAddresses !== undefined;
  });
  const pool = await store.get(inClusterPrefixPool, { namespace: place, name: "vast" });
  expect(pool?.status?.ipAddresses?.total).toBe(2 ** 63);
});

test("two programs at once, neither leading: every address once, all come back", async () => {
  await start("second", ["--webhook-port=0"]);
  await store.create(inClusterIPPool, {
    metadata: { namespace: place, name: "crowd" },
    spec: { addresses: ["10.20.0.0/16"], prefix: 16 },
  });
  const names = Array.from({ length: 120 }, (_, at) => `crowd-${at}`);
  await Promise.all(names.map((name) => claimOn(name, "crowd")));
  const ofCrowd = ({ metadata }: IPAddressClaim) => metadata.name.startsWith("crowd-");
  await until(
    "all are bound",
    async () => {
      const { items } = await store.list(ipAddressClaim, { namespace: place });
      return items.filter(ofCrowd).every(({ status }) => status?.addressRef !== undefined);
    },
    60_000,
  );
  const { items } = await store.list(ipAddress, { namespace: place });
  const texts = items.filter(({ spec }) => spec.poolRef.name === "crowd").map(({ spec }) => spec.address);
  expect(texts).toHaveLength(names.length);
  expect(new Set(texts).size).toBe(names.length);
  for (const name of names) await store.delete(ipAddressClaim, { namespace: place, name });
  await until(
    "all are released",
    async () => {
      const left = await store.list(ipAddress, { namespace: place });
      return left.items.every(({ spec }) => spec.poolRef.name !== "crowd");
    },
    60_000,
  );
  await until("the pool can go", () =>
    store.delete(inClusterIPPool, { namespace: place, name: "crowd" }).then(
      () => true,
      (error: unknown) => isFault(error, "NotFound"),
    ),
  );
});

test("what an autoscaler may grow to is kept from another cluster, and had by it when the maximum is lowered", async () => {
  const own = "c";
  await store.create(namespace, { metadata: { name: own } });
  const at = (name: string) => ({ namespace: own, name });
  await store.create(inClusterIPPool, {
    metadata: at("nodes"),
    spec: { addresses: ["10.9.9.10-10.9.9.14"], prefix: 24 },
  });
  await store.create(cluster, clusterDraft("c1"));
  await store.create(cluster, clusterDraft("c2"));
  await store.create(vsphereMachineTemplate, templateDraft([cardOn("nodes")]));
  await store.create(machineDeployment, deploymentDraft(sizes(1, 3))); // and one of a roll-out
  const kept = async () =>
    (await store.get(inClusterIPPool, at("nodes")))?.metadata.annotations?.[growthAnnotation];
  await until("room for four is set aside", async () => (await kept()) === `${own}/c1=4`);
  for (const name of ["x", "y"]) await store.create(ipAddressClaim, claimOf("c2", name));
  const state = async (name: string) =>
    (await store.get(ipAddressClaim, at(name)))?.status?.conditions?.find(({ type }) => type === "Ready")
      ?.reason;
  const states = async () => [await state("x"), await state("y")].sort().join();
  await until(
    "one has the last, the other is told that there is none",
    async () => (await states()) === "AddressAllocated,PoolExhausted",
  );
  const names = ["w-1", "w-2", "w-3"];
  for (const name of names) {
    await store.create(vsphereMachine, machineDraft(name, "w"));
    await store.create(ipAddressClaim, claimOf("c1", `${name}-0`));
  }
  await until("the cluster's own are served", async () => {
    const all = await Promise.all(names.map((name) => state(`${name}-0`)));
    return all.every((each) => each === "AddressAllocated");
  });
  expect(await states()).toBe("AddressAllocated,PoolExhausted");
  const resize = (annotations: Record<string, string>) =>
    modify(store, machineDeployment, at("w"), ({ metadata }) => {
      metadata.annotations = annotations;
    });
  await resize(sizes(1, 1));
  await until(
    "the other has what came free",
    async () => (await states()) === "AddressAllocated,AddressAllocated",
  );
  await resize({});
  await until("nothing is set aside any more", async () => (await kept()) === undefined);
});
