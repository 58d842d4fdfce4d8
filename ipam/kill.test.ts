// The controllers in a process that is killed at random moments of a fill and a release, on SQLite. Afterwards: used = addresses =
// bound claims, nothing leaked, nothing twice. The same on a real kube-apiserver: test/peers/ipam-kill.test.ts.
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { leases, runControllers, silentLogger, sqliteStore, systemClock } from "#core";
import { inClusterIPPool, ipAddress, ipAddressClaim } from "#proto";
import { ipamControllers } from "./index.ts";
import { poolDraft } from "./testing.ts";

const kills = Number(process.env["PCG_IPAM_KILLS"] ?? 3);
const claims = Number(process.env["PCG_IPAM_CLAIMS"] ?? 150);

const at = (path: string) => JSON.stringify(new URL(path, import.meta.url).href);
/** Goes on with what the last one began: creates claims up to the count, deletes every second one, and so on. */
const program = `
  import { runControllers, silentLogger, sqliteStore, systemClock } from ${at("../core/index.ts")};
  import { ipAddressClaim } from ${at("../proto/index.ts")};
  import { ipamControllers } from ${at("./index.ts")};
  import { claimDraft } from ${at("./testing.ts")};
  const [, path, count, round] = process.argv;
  const store = await sqliteStore(path, { clock: systemClock });
  const deps = { store, clock: systemClock, log: silentLogger, random: Math.random };
  await runControllers(deps, ipamControllers(deps), new AbortController().signal).ready;
  console.log("ready");
  for (let at = 0; at < Number(count); at++) {
    const name = "claim-" + ((at * 7 + Number(round) * 13) % Number(count));
    const key = { namespace: "c", name };
    if (Math.random() < 0.4) await store.delete(ipAddressClaim, key).catch(() => {});
    else await store.create(ipAddressClaim, claimDraft(name)).catch(() => {});
  }
  setInterval(() => {}, 1000);
`;

test(`killed at ${kills} random moments: used = addresses = bound claims`, async () => {
  const dir = await mkdtemp(join(tmpdir(), "ipam-kill-"));
  const path = join(dir, "store.db");
  try {
    const first = await sqliteStore(path, { clock: systemClock });
    await first.create(inClusterIPPool, poolDraft({ addresses: ["10.0.0.0/16"], prefix: 16 }));
    await first.close();
    for (let round = 0; round < kills; round++) {
      const args = [
        "--import",
        "tsx",
        "--input-type=module",
        "-e",
        program,
        path,
        String(claims),
        String(round),
      ];
      const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
      const ended = new Promise((resolve) => child.once("close", resolve));
      await Promise.race([new Promise((resolve) => child.stdout.once("data", resolve)), ended]);
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 600));
      child.kill("SIGKILL");
      await ended;
    }

    const store = await sqliteStore(path, { clock: systemClock });
    const stop = new AbortController();
    const deps = { store, clock: systemClock, log: silentLogger, random: Math.random };
    const running = runControllers(deps, ipamControllers(deps), stop.signal);
    await running.ready;
    const world = async () => {
      const all = (await store.list(ipAddressClaim)).items;
      const addresses = (await store.list(ipAddress)).items;
      const pool = await store.get(inClusterIPPool, { namespace: "c", name: "nodes" });
      return {
        claims: all.length,
        bound: all.filter(({ status, metadata }) => status?.addressRef && !metadata.deletionTimestamp).length,
        addresses: addresses.length,
        distinct: new Set(addresses.map(({ spec }) => spec.address)).size,
        used: pool?.status?.ipAddresses?.used,
      };
    };
    let now = await world();
    const isRight = () =>
      [now.bound, now.addresses, now.distinct, now.used].every((count) => count === now.claims);
    for (const deadline = Date.now() + 60_000; !isRight() && Date.now() < deadline; now = await world())
      await new Promise((resolve) => setTimeout(resolve, 50));
    const { claims: count } = now;
    expect(now).toEqual({ claims: count, bound: count, addresses: count, distinct: count, used: count });
    expect(count).toBeGreaterThan(0);
    // Reservations that a dead process left go when their time has come; none holds what is free.
    const left = (await store.list(leases)).items.filter(({ metadata }) => metadata.name.startsWith("ip-"));
    expect(left.length).toBeLessThanOrEqual(kills * 64);
    stop.abort();
    await running.stopped;
    await store.close();
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}, 600_000);
