import { afterEach, describe, expect, test } from "vitest";

import { silentLogger, type Kind } from "#core";
import { stage, type Stage } from "#core/controller/testing.ts";
import { fakeClock } from "#core/time/fake-clock.ts";
import {
  event,
  inClusterIPPool,
  ipAddressClaim,
  metal3IPPool,
  vsphereVM,
  type InClusterIPPool,
} from "#proto";
import { formatAddress, parseAddress } from "../address.ts";
import {
  arpEntry,
  arpProber,
  checkConflicts,
  ipamControllers,
  knownPool,
  metal3Controllers,
  overlapVerdict,
  readInventory,
  systemWire,
  type Prober,
} from "../index.ts";
import { withOverlaps } from "../webhooks/overlaps.ts";
import { metal3PoolDraft } from "../metal3/testing.ts";
import { claimDraft, given, poolDraft } from "../testing.ts";

const stages: Stage[] = [];
afterEach(async () => {
  for (const open of stages.splice(0)) await open.stop();
});

async function staged(prober?: Prober) {
  const made = await stage((deps) => [
    ...ipamControllers({ ...deps, ...(prober ? { prober } : {}) }),
    ...metal3Controllers({ ...deps, random: () => 0 }),
  ]);
  stages.push(made);
  const { store, quiet } = made;
  const pool = async (
    name: string,
    spec: Partial<InClusterIPPool["spec"]>,
    annotations: Record<string, string> = {},
  ) => {
    const draft = poolDraft(spec, name);
    const created = await store.create(inClusterIPPool, {
      ...draft,
      metadata: { ...draft.metadata, annotations },
    });
    await quiet();
    return created;
  };
  const claim = async (...args: Parameters<typeof claimDraft>) => {
    await store.create(ipAddressClaim, claimDraft(...args));
    await quiet();
  };
  return { ...made, log: silentLogger, pool, claim };
}

const never = new AbortController().signal;

describe("conflicts", () => {
  test("pools that overlap are told of, once, whatever their kinds; other networks and those that may are not", async () => {
    const made = await staged();
    const { store, clock, pool, quiet } = made;
    await pool("a", { addresses: ["10.0.0.10-10.0.0.20"] });
    await clock.advance(1_000);
    await store.create(metal3IPPool, metal3PoolDraft());
    await pool("vrf", { addresses: ["10.0.0.0/24"] }, { "ipam.pcg.dev/scope": "vrf-2" });
    await pool("may", { addresses: ["10.0.0.0/24"] }, { "ipam.pcg.dev/overlap": "allow" });
    await quiet();
    const found = await checkConflicts(made, never);
    await checkConflicts(made, never);
    expect(found.map(({ reason, message }) => `${reason}: ${message}`)).toEqual([
      "PoolsOverlap: IPPool c/m3 and InClusterIPPool c/a both give out 10.0.0.10-10.0.0.12; make them distinct, or name their networks by ipam.pcg.dev/scope",
    ]);
    const said = (await store.list(event)).items;
    expect(said.map(({ reason, count, involvedObject }) => [reason, count, involvedObject.name])).toEqual([
      ["PoolsOverlap", 1, "m3"],
    ]);
  });

  test("admission warns of an overlap, and refuses it where either pool says deny", async () => {
    const { store, pool } = await staged();
    await pool("a", {});
    const strict = await pool("b", { addresses: ["10.0.0.50"] }, { "ipam.pcg.dev/overlap": "deny" });
    const inventory = await readInventory(store);
    const edited = (addresses: string[]) =>
      overlapVerdict(
        knownPool(inClusterIPPool, {
          ...strict,
          metadata: { ...strict.metadata, name: "c", annotations: {} },
          spec: { ...strict.spec, addresses },
        }),
        inventory,
      );
    expect(edited(["10.0.0.12"])).toMatchObject({
      problems: [],
      warnings: [expect.stringContaining("both give out 10.0.0.12")],
    });
    expect(edited(["10.0.0.50"])).toMatchObject({ problems: [{ field: "spec.addresses" }], warnings: [] });
    expect(edited(["10.0.0.51"])).toEqual({ problems: [], warnings: [] });
  });

  test("the webhook says it too; what does not change a pool's text is never refused", async () => {
    const { store, pool } = await staged();
    await pool("strict", {}, { "ipam.pcg.dev/overlap": "deny" });
    const old = await pool("b", { addresses: ["10.0.1.5"], gateway: "10.0.1.1" });
    const review = (addresses: string[], before = addresses) => ({
      uid: "1",
      name: "b",
      kind: { group: inClusterIPPool.group, version: inClusterIPPool.version, kind: inClusterIPPool.kind },
      operation: "UPDATE" as const,
      object: { ...old, spec: { ...old.spec, addresses } },
      oldObject: { ...old, spec: { ...old.spec, addresses: before } },
    });
    const judged = (...args: Parameters<typeof review>) =>
      withOverlaps(store, inClusterIPPool as Kind, review(...args), { kind: "allowed", warnings: [] });
    expect((await judged(["10.0.0.10"], ["10.0.1.5"])).kind).toBe("invalid");
    expect((await judged(["10.0.0.10"])).kind).toBe("allowed");
    expect(await judged(["10.0.1.6"], ["10.0.1.5"])).toEqual({ kind: "allowed", warnings: [] });
  });

  test("an address given twice is told of on the younger IPAddress; nothing is deleted", async () => {
    const made = await staged();
    const { store, clock, pool, claim } = made;
    await pool("a", { addresses: ["10.0.0.10"] });
    await pool("b", { addresses: ["10.0.0.10"] }, { "ipam.pcg.dev/overlap": "allow" });
    await claim("first", {}, { name: "a" });
    await clock.advance(5_000);
    await claim("second", {}, { name: "b" });
    const [found] = await checkConflicts(made, never);
    expect(found?.message).toContain("10.0.0.10 is given twice: to claim c/second and, before, to c/first");
    expect(await given(store)).toEqual(["first 10.0.0.10", "second 10.0.0.10"]);
  });

  test("VMs that use what nobody was given, or what another was given", async () => {
    const made = await staged();
    const { store, pool, claim } = made;
    await pool("nodes", {});
    const vm = await store.create(vsphereVM, {
      metadata: { namespace: "c", name: "vm-a" },
      spec: { template: "t", network: { devices: [] } },
    });
    await claim("a", {
      ownerReferences: [
        {
          apiVersion: "infrastructure.cluster.x-k8s.io/v1beta2",
          kind: "VSphereVM",
          name: "vm-a",
          uid: vm.metadata.uid,
        },
      ],
    });
    const guests = async () => [
      { vm: "vm-a", addresses: ["10.0.0.10"] },
      { vm: "old", addresses: ["10.0.0.10", "10.0.0.11", "192.168.1.1"] },
    ];
    const found = await checkConflicts({ ...made, guests }, never);
    expect(found.map(({ message }) => message)).toEqual([
      "VM old uses 10.0.0.10, which was given to VSphereVM c/vm-a",
      "VM old uses 10.0.0.11 of InClusterIPPool c/nodes, which nobody was given: exclude it, or import it (pcg ip import)",
    ]);
  });
});

describe("the probe", () => {
  const head = "IP address       HW type     Flags       HW address            Mask     Device\n";
  const row = (ip: string, flags: string, mac: string) =>
    `${ip}       0x1         ${flags}         ${mac}     *        eth0\n`;

  test.each([
    [
      "resolved",
      head + row("10.0.0.5", "0x2", "02:00:00:00:00:05"),
      { kind: "resolved", mac: "02:00:00:00:00:05" },
    ],
    ["tried in vain", head + row("10.0.0.5", "0x0", "00:00:00:00:00:00"), { kind: "tried" }],
    ["of another", head + row("10.0.0.50", "0x2", "02:00:00:00:00:05"), undefined],
    ["nothing", "", undefined],
  ])("reads an entry: %s", (_, table, expected) => expect(arpEntry(table, "10.0.0.5")).toEqual(expected));

  test.each([
    [
      "that answers is taken at once",
      row("10.0.0.5", "0x2", "02:00:00:00:00:05"),
      { kind: "taken", mac: "02:00:00:00:00:05" },
      0,
    ],
    [
      "that does not answer is free after the kernel's tries",
      row("10.0.0.5", "0x0", "00:00:00:00:00:00"),
      { kind: "free" },
      3_600,
    ],
    ["on another network is unknown", "", { kind: "unknown" }, 3_600],
  ])("an address %s", async (_, table, expected, waitedMs) => {
    const clock = fakeClock();
    const nudged: string[] = [];
    const wire = {
      nudge: async (address: string) => void nudged.push(address),
      table: async () => head + table,
    };
    const startedAt = clock.now();
    const probing = arpProber({ clock, wire }).probe(parseAddress("10.0.0.5")!, never);
    let result: unknown;
    void probing.then((each) => (result = each));
    for (let i = 0; i < 300 && !result; i++) await clock.advance(i === 0 ? 0 : 20);
    expect(result).toEqual(expected);
    expect(clock.now() - startedAt).toBeLessThanOrEqual(waitedMs + 20);
    expect(nudged).toEqual(["10.0.0.5"]);
  });

  test("of this host's own kernel needs no privilege: loopback is on no network that resolves addresses", async () => {
    await systemWire.nudge("127.0.0.1");
    expect(arpEntry(await systemWire.table(), "127.0.0.1")).toBeUndefined();
  });

  test("ahead of claims: what is in use on the wire is left out, said, and given once it is silent", async () => {
    const taken = new Set(["10.0.0.10", "10.0.0.12"]);
    const probes: string[] = [];
    const { store, run, pool, claim } = await staged({
      probe: async ({ value }) => {
        const text = `10.0.0.${value & 0xffn}`;
        probes.push(text);
        return taken.has(text) ? { kind: "taken", mac: "02:00:00:00:00:10" } : { kind: "free" };
      },
    });
    await pool("nodes", {}, { "ipam.pcg.dev/probe": "arp" });
    await claim("a");
    expect(await given(store)).toEqual(["a 10.0.0.11"]);
    await claim("b");
    expect(await given(store)).toEqual(["a 10.0.0.11"]); // waits rather than collide
    expect((await store.list(event)).items.map(({ message }) => message).sort()[0]).toBe(
      "10.0.0.10 of InClusterIPPool c/nodes is in use on the network by 02:00:00:00:00:10, but was given to nobody; it is left out",
    );
    taken.clear();
    await run(700_000);
    expect(await given(store)).toEqual(["a 10.0.0.11", "b 10.0.0.10"]);
    expect(new Set(probes)).toEqual(new Set(["10.0.0.10", "10.0.0.11", "10.0.0.12"]));
  });

  test("ahead of claims, where chance decides too: what was drawn and found free is given, what is in use is not", async () => {
    const probed: string[] = [];
    const inUse = new Set<string>();
    const { store, pool, claim } = await staged({
      probe: async (address) => {
        const text = formatAddress(address);
        if (probed.length === 0) inUse.add(text);
        probed.push(text);
        return inUse.has(text) ? { kind: "taken", mac: "02:00:00:00:00:10" } : { kind: "free" };
      },
    });
    const annotations = { "ipam.pcg.dev/probe": "arp", "ipam.pcg.dev/strategy": "random" };
    await pool("nodes", { addresses: ["10.0.0.0/24"] }, annotations);
    expect(probed).toHaveLength(17); // sixteen, and one for that in use
    const order = [...probed];
    for (const name of ["a", "b", "c"]) await claim(name);
    expect(await given(store)).toEqual([`a ${order[1]}`, `b ${order[2]}`, `c ${order[3]}`]);
    expect(new Set(probed).size).toBe(probed.length); // nothing is asked twice
    expect(probed).toHaveLength(20); // and as many are known ahead as before
  });

  test.each(["lowest", "random", "least-recently-released"])(
    "ahead of claims: nothing is given unprobed while claims come and go (%s)",
    async (strategy) => {
      const probed = new Set<string>();
      const { store, pool, claim, quiet } = await staged({
        probe: async (address) => (probed.add(formatAddress(address)), { kind: "free" }),
      });
      const annotations = { "ipam.pcg.dev/probe": "arp", "ipam.pcg.dev/strategy": strategy };
      await pool("nodes", { addresses: ["10.0.0.10-10.0.0.39"] }, annotations);
      for (let i = 0; i < 60; i++) {
        await claim(`claim-${i}`);
        const text = (await given(store)).find((each) => each.startsWith(`claim-${i} `));
        expect(probed).toContain(text?.split(" ")[1]);
        if (i < 8) continue;
        await store.delete(ipAddressClaim, { namespace: "c", name: `claim-${i - 8}` });
        await quiet();
      }
    },
  );

  test("is not asked for pools that do not want it", async () => {
    const probes: unknown[] = [];
    const { pool } = await staged({ probe: async (address) => (probes.push(address), { kind: "free" }) });
    await pool("nodes", {});
    expect(probes).toEqual([]);
  });
});
