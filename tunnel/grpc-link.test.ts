// The link as it is in production: gRPC, mutual TLS, databases on disk.
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, connect, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { silentLogger, systemClock } from "#core";
import { openLink, type LinkOptions } from "./client/link.ts";
import type { Hub, Link, PeerIdentity } from "./link.ts";
import type { SessionTimes } from "./session/machine.ts";
import { openHub } from "./server/hub.ts";
import { testPki, type TestPki } from "./test-pki.ts";
import { grpcDial, type TlsCredentials } from "./transport/grpc-client.ts";
import { grpcListen } from "./transport/grpc-server.ts";

const identity = { role: "gateway", uid: "gw-1", tenantUid: "tenant-1" } as const;
const never = new AbortController().signal;
const base = { clock: systemClock, log: silentLogger, random: Math.random };
const quick: Partial<LinkOptions> = { retry: { baseMs: 5, capMs: 20 } };

let pki: TestPki;
let server: TlsCredentials;
let gateway: TlsCredentials;
beforeAll(async () => {
  pki = await testPki();
  server = await pki.server();
  gateway = await pki.client("pcg://tenant-1/gateway/gw-1");
});

let folder: string;
const ends: (() => Promise<void>)[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "pcg-tunnel-"));
});
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
  rmSync(folder, { recursive: true });
});

interface HubWish {
  readonly port?: number;
  readonly allow?: (peer: PeerIdentity) => boolean;
  readonly times?: Partial<SessionTimes>;
}

async function hub({ port = 0, allow = () => true, times = {} }: HubWish = {}): Promise<
  Hub & { port: number }
> {
  const listen = grpcListen({ host: "127.0.0.1", port, ...server });
  const made = await openHub(
    { ...base, listen, database: join(folder, "hub.db") },
    { allow, ...times },
    never,
  );
  ends.push(() => made.close());
  return made;
}

async function link(
  port: number,
  credentials = () => Promise.resolve(gateway),
  times: Partial<SessionTimes> = {},
): Promise<Link> {
  const dial = grpcDial({ address: `127.0.0.1:${port}`, credentials });
  const options = { identity, ...quick, ...times };
  const made = await openLink({ ...base, dial, database: join(folder, "link.db") }, options, never);
  ends.push(() => made.close());
  return made;
}

async function until(what: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!(await what())) {
    if (Date.now() > deadline) throw new Error(`still not: ${what.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

describe("a link over gRPC", () => {
  test("carries messages both ways and says which transport it has", async () => {
    const plane = await hub();
    const gate = await link(plane.port);
    const up: unknown[] = [];
    const down: unknown[] = [];
    plane.handle("event", (from, { body }) => (up.push([from.serial.length > 0, body]), Promise.resolve()));
    gate.handle("desired", ({ body }) => (down.push(body), Promise.resolve()));
    await gate.publish({ topic: "event", class: "event", key: "k", body: "x".repeat(250_000) });
    for (let i = 0; i < 50; i++)
      await plane.publish(identity, { topic: "desired", class: "event", key: "k", body: i });
    await until(() => up.length === 1 && down.length === 50);
    expect(down).toEqual([...Array(50).keys()]);
    expect(up).toEqual([[true, "x".repeat(250_000)]]);
    expect(gate.state).toMatchObject({ kind: "connected", transport: "grpc" });
    await until(async () => (await gate.backlog()) + (await plane.backlog(identity)) === 0);
  });

  test("a plane that restarts gets everything once, and what it published before still arrives", async () => {
    const first = await hub();
    const gate = await link(first.port);
    await until(() => gate.state.kind === "connected");
    const { port } = first;
    await first.publish(identity, { topic: "desired", class: "state", key: "c", body: "before" });
    await first.close();
    await until(() => gate.state.kind !== "connected");
    for (let i = 0; i < 100; i++) void gate.publish({ topic: "event", class: "event", key: "k", body: i });
    const second = await hub({ port });
    const up: unknown[] = [];
    const down: unknown[] = [];
    second.handle("event", (_, { body }) => (up.push(body), Promise.resolve()));
    gate.handle("desired", ({ body }) => (down.push(body), Promise.resolve()));
    await until(() => up.length >= 100 && down.length >= 1);
    expect(up).toEqual([...Array(100).keys()]);
    expect(down).toEqual(["before"]);
  });

  test("a renewed certificate is shown at the next line", async () => {
    const plane = await hub();
    const renewed = await pki.client("pcg://tenant-1/gateway/gw-1");
    const shown = [gateway, renewed];
    const gate = await link(plane.port, () => Promise.resolve(shown.shift() ?? renewed));
    await until(() => plane.peers().length === 1);
    const before = plane.peers()[0]?.identity.serial;
    plane.disconnect(identity);
    await until(() => plane.peers().length === 1 && plane.peers()[0]?.identity.serial !== before);
    expect(gate.state.kind).not.toBe("refused");
  });

  test("an identity that is not allowed sees the refusal, not a broken line", async () => {
    const plane = await hub({ allow: () => false });
    const gate = await link(plane.port);
    await until(() => gate.state.kind === "refused");
    expect(gate.state).toMatchObject({ reason: expect.stringContaining("gw-1 is not admitted") as string });
  });

  test("a blackhole in the middle is noticed by both sides, and the next line resumes", async () => {
    const times = { keepaliveMs: 200, deadMs: 1_500 };
    const plane = await hub({ times });
    const relay = await badRelay(plane.port);
    ends.push(relay.close);
    const gate = await link(relay.port, undefined, times);
    // A dial that hangs has a patience of its own: both must be through with it.
    await until(() => plane.peers().length === 1 && gate.state.kind === "connected");
    const since = plane.peers()[0]?.since ?? 0;
    relay.freeze();
    const frozenAt = Date.now();
    await gate.publish({ topic: "event", class: "event", key: "k", body: "into the hole" });
    const got: unknown[] = [];
    plane.handle("event", (_, { body }) => (got.push(body), Promise.resolve()));
    await until(() => got.length === 1);
    expect(plane.peers()[0]?.since).toBeGreaterThan(since);
    expect(Date.now() - frozenAt).toBeLessThan(5_000);
    expect(got).toEqual(["into the hole"]);
  });

  test("a line that breaks in the middle of frames is resumed: nothing lost, nothing twice", async () => {
    const plane = await hub();
    const relay = await badRelay(plane.port, 200_000);
    ends.push(relay.close);
    const gate = await link(relay.port);
    const up: number[] = [];
    plane.handle("event", (_, { body }) => (up.push((body as { i: number }).i), Promise.resolve()));
    const pad = "y".repeat(4_000);
    const total = 400;
    for (let i = 0; i < total; i++)
      void gate.publish({ topic: "event", class: "event", key: "k", body: { i, pad } });
    await until(() => up.length >= total);
    await until(async () => (await gate.backlog()) === 0);
    expect(up).toEqual([...Array(total).keys()]);
    expect(relay.broken()).toBeGreaterThan(3);
  });
});

interface Relay {
  readonly port: number;
  /** How many connections were reset. */
  broken(): number;
  /** Connections stay, and nothing passes any more: a silent blackhole. New ones pass. */
  freeze(): void;
  close(): Promise<void>;
}

/** A TCP relay that resets each connection after so many bytes towards the plane, in the middle of a frame. */
async function badRelay(to: number, bytes = Infinity): Promise<Relay> {
  let broken = 0;
  const sockets = new Set<Socket>();
  const relay: Server = createServer((near) => {
    const far = connect(to, "127.0.0.1");
    let left = bytes;
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => (near.destroy(), far.destroy(), sockets.delete(socket)));
    }
    near.on("data", (chunk) => {
      left -= chunk.length;
      if (left > 0) return far.write(chunk);
      broken++;
      near.pause();
      // The last piece in the middle of a frame; time for the plane to read it, or no connection would ever bring it further.
      return far.write(chunk.subarray(0, chunk.length / 2), () =>
        setTimeout(() => (near.resetAndDestroy(), far.resetAndDestroy()), 5),
      );
    });
    far.on("data", (chunk) => near.write(chunk));
  });
  await new Promise<void>((resolve) => relay.listen(0, "127.0.0.1", resolve));
  const address = relay.address();
  return {
    port: typeof address === "object" && address ? address.port : 0,
    broken: () => broken,
    freeze: () => sockets.forEach((socket) => socket.removeAllListeners("data").pause()),
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        relay.close(() => resolve());
      }),
  };
}
