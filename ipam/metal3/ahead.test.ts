import { describe, expect, onTestFinished, test } from "vitest";
import { event, metal3IPClaim, metal3IPPool, type Metal3IPPool } from "#proto";
import { formatAddress } from "../address.ts";
import { metal3ClaimDraft, metal3ClaimState, metal3Given, metal3PoolDraft, metal3Stage } from "./testing.ts";

describe("what is in use on the network", () => {
  const probing = { "ipam.pcg.dev/probe": "arp" };

  async function staged(taken: Set<string>, spec: Partial<Metal3IPPool["spec"]> = {}) {
    const probes: string[] = [];
    const made = await metal3Stage(
      {},
      {
        probe: async (address) => {
          const text = formatAddress(address);
          probes.push(text);
          return taken.has(text) ? { kind: "taken", mac: "02:00:00:00:00:10" } : { kind: "free" };
        },
      },
    );
    onTestFinished(made.stop);
    await made.store.create(metal3IPPool, metal3PoolDraft(spec, { annotations: probing }));
    await made.quiet();
    const claim = async (name: string, annotations?: Record<string, string>) => {
      await made.store.create(metal3IPClaim, metal3ClaimDraft(name, annotations));
      await made.quiet();
    };
    return { ...made, probes, claim };
  }

  test("is left out and said, is had by who asks for it, and is given once it is silent", async () => {
    const taken = new Set(["10.0.0.10", "10.0.0.12"]);
    const { store, claim, run } = await staged(taken);
    await claim("a");
    await claim("b");
    expect(await metal3Given(store)).toEqual(["a 10.0.0.11"]); // b waits rather than collide
    expect(await metal3ClaimState(store, "b")).toContain(
      "1 are in use, 2 are left out, since something on the network has them",
    );
    expect((await store.list(event)).items.map(({ message }) => message).sort()[0]).toBe(
      "10.0.0.10 of IPPool c/m3 is in use on the network by 02:00:00:00:00:10, but was given to nobody; it is left out",
    );
    await claim("itself", { ipAddress: "10.0.0.12" });
    expect(await metal3Given(store)).toEqual(["a 10.0.0.11", "itself 10.0.0.12"]);
    taken.clear();
    await run(700_000);
    expect(await metal3Given(store)).toEqual(["a 10.0.0.11", "b 10.0.0.10", "itself 10.0.0.12"]);
  });

  test("is looked for ahead by chance too: what was probed is what comes next", async () => {
    const spec = { allocationStrategy: "random", pools: [{ subnet: "10.0.0.0/24" }] } as const;
    const { store, claim, probes } = await staged(new Set(), spec as never);
    expect(probes).toHaveLength(16);
    const [first] = probes;
    await claim("a");
    expect(await metal3Given(store)).toEqual([`a ${first}`]);
  });
});
