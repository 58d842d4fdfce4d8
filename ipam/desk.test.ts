import { afterEach, expect, test } from "vitest";
import { systemClock, type OwnedStore } from "#core";
import { memoryStore } from "#core/store/memory-store.ts";
import { inClusterIPPool, ipAddress, ipAddressClaim } from "#proto";
import { formatAddress, parseAddress } from "./address.ts";
import { Desk } from "./desk.ts";
import { poolRanges } from "./ranges.ts";
import { Reservations } from "./reservation.ts";
import { claimDraft, poolDraft } from "./testing.ts";

const stores: OwnedStore[] = [];
afterEach(async () => {
  for (const store of stores.splice(0)) await store.close();
});

async function counter() {
  const store = memoryStore({ clock: systemClock });
  stores.push(store);
  const place = { kind: inClusterIPPool, key: { namespace: "c", name: "nodes" } };
  const reservations = new Reservations(store, "kube-system");
  const desk = new Desk(store, reservations, place);
  const pool = await store.create(inClusterIPPool, poolDraft()); // 10.0.0.10 to 10.0.0.12
  const ranges = poolRanges(pool.spec);
  if (ranges.kind === "wrong") throw new Error("a wrong pool");
  const claim = (name: string) => store.create(ipAddressClaim, claimDraft(name));
  const offer = async (of: Awaited<ReturnType<typeof claim>>) => {
    const { address, contended } = await desk.offer(pool, ranges, of);
    return address ? formatAddress(address) : contended ? "contended" : "none";
  };
  return { store, place, reservations, desk, pool, claim, offer };
}

test("no two who ask at once are offered the same, and the last hears that it is worth asking again", async () => {
  const { claim, offer } = await counter();
  const claims = await Promise.all(["a", "b", "c", "d"].map(claim));
  expect(await Promise.all(claims.map(offer))).toEqual(["10.0.0.10", "10.0.0.11", "10.0.0.12", "contended"]);
});

test("an address that came to nothing is offered again after the round, by the next look", async () => {
  const { desk, claim, offer } = await counter();
  const [a, b] = [await claim("a"), await claim("b")];
  expect(await offer(a)).toBe("10.0.0.10");
  expect(await offer(b)).toBe("10.0.0.11");
  desk.settle(a.metadata.uid);
  desk.settle(b.metadata.uid);
  expect(await offer(await claim("c"))).toBe("10.0.0.10");
});

test("what was given during a look that is still being used is not offered from it", async () => {
  const { desk, store, pool, claim, offer } = await counter();
  const [a, b, c] = [await claim("a"), await claim("b"), await claim("c")];
  expect(await offer(a)).toBe("10.0.0.10");
  const early = offer(b); // its look begins now, before the IPAddress is there
  const { poolRef } = a.spec;
  const spec = { address: "10.0.0.10", prefix: 24, claimRef: { name: "a" }, poolRef };
  await store.create(ipAddress, { metadata: { namespace: "c", name: "a" }, spec });
  desk.settle(a.metadata.uid);
  expect(await early).toBe("10.0.0.11");
  expect(await offer(c)).toBe("10.0.0.12");
  expect((await desk.look(pool)).addresses).toHaveLength(1);
});

test("a claim that holds a reservation is offered that address again, and nobody else is", async () => {
  const { place, pool, reservations, claim, offer } = await counter();
  const [a, b] = [await claim("a"), await claim("b")];
  const held = parseAddress("10.0.0.10");
  if (!held) throw new Error("no address");
  await reservations.win(place, pool, a, held);
  expect(await offer(b)).toBe("10.0.0.11");
  expect(await offer(a)).toBe("10.0.0.10");
});
