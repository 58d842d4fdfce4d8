// For tests: a simulated vCenter with an account, and clients of it.
import { expect } from "vitest";
import { Secret, silentLogger, systemClock, type Clock } from "#core";
import {
  connectVsphere,
  vsphereSessions,
  type CloneRequest,
  type VsphereClient,
  type VsphereSessions,
} from "#vsphere";
import { startVcenter, type SimulatedVcenter, type VcenterOptions } from "./index.ts";

export const username = "gateway@vsphere.local";
export const password = new Secret("correct horse");

export interface Stage {
  readonly sim: SimulatedVcenter;
  /** A client with a session of its own; closed at the end. */
  client(over?: { username?: string; password?: Secret; clock?: Clock }): VsphereClient;
  sessions(over?: { clock?: Clock; lingerMs?: number }): VsphereSessions;
  /** How to reach it, for `connect`. */
  readonly account: { server: string; thumbprint: string; username: string; password: Secret };
  /** Where a clone of the template goes. */
  cloneOf(client: VsphereClient, name: string): Promise<CloneRequest>;
  close(): Promise<void>;
}

/** Starts one; what it gave out is closed with it. */
export async function stage(options: Partial<VcenterOptions> = {}): Promise<Stage> {
  const sim = await startVcenter({
    clock: systemClock,
    log: silentLogger,
    listen: "127.0.0.1:0",
    username,
    password,
    ...options,
  });
  const closers: (() => Promise<void>)[] = [];
  const account = { server: sim.server, thumbprint: sim.thumbprint, username, password };
  return {
    sim,
    account,
    client(over = {}) {
      const client = connectVsphere({ ...account, clock: systemClock, log: silentLogger, ...over });
      closers.push(() => client.close());
      return client;
    },
    sessions(over = {}) {
      const sessions = vsphereSessions({ clock: systemClock, log: silentLogger, ...over });
      closers.push(() => sessions.close());
      return sessions;
    },
    async cloneOf(client, name) {
      const snapshot = await client.inventory.snapshot();
      const ref = (kind: Parameters<typeof snapshot.pick>[0], wanted: string) => {
        const pick = snapshot.pick(kind, wanted, { datacenter: "DC0" });
        if (pick.kind !== "found") throw new Error(pick.message);
        return pick.entry.ref;
      };
      return {
        name,
        source: ref("template", "ubuntu-2204-kube-v1.35.4"),
        folder: ref("folder", "vm"),
        pool: ref("pool", "C0/Resources"),
        datastore: ref("datastore", "LocalDS_0"),
      };
    },
    async close() {
      await Promise.all(closers.map((close) => close()));
      await sim.close();
    },
  };
}

/** Asks again and again until the expectation holds: machines may be slow, so there is time. */
export function eventually<T>(look: () => T) {
  return expect.poll(look, { timeout: 15_000, interval: 10 });
}
