// The hub against peers with bad manners, restarts, and races. The polite path is in tunnel/link.test.ts.
import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { openDatabase, silentLogger, systemClock, type Clock, type Database } from "#core";
import { fakeClock, type FakeClock } from "#core/time/fake-clock.ts";
import { CloseCode, MessageClass, Role, type Hello } from "#proto/generated/tunnel/link.ts";
import type { Hub, PeerIdentity } from "../link.ts";
import { decodeFrame, encodeFrame, frame, type Decoded, type Frame, type FrameOf } from "../session/frame.ts";
import { memoryLinkPair } from "../testing.ts";
import { memoryNetwork, type MemoryNetwork } from "../transport/memory.ts";
import type { Transport } from "../transport/transport.ts";
import { openHub, type HubOptions } from "./hub.ts";

const identity: PeerIdentity = { role: "gateway", uid: "g", tenantUid: "t", serial: "01" };
const hello: Hello = {
  ...{ minVersion: 1, maxVersion: 1, features: 0, role: Role.GATEWAY, uid: "g", tenantUid: "t" },
  ...{ sessionId: "s", epoch: "e", cursor: undefined, software: "" },
};

const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

interface Stage {
  readonly hub: Hub;
  readonly network: MemoryNetwork;
  /** A line that says just what the test says. */
  dial(as?: PeerIdentity): Promise<RawPeer>;
}

async function stage(
  options: Partial<HubOptions> = {},
  clock: Clock = systemClock,
  database: string | Database = ":memory:",
): Promise<Stage> {
  const network = memoryNetwork({ clock });
  const hub = await openHub(
    { clock, log: silentLogger, random: Math.random, database, listen: network.listen },
    { allow: () => true, ...options },
    new AbortController().signal,
  );
  ends.push(() => hub.close());
  const dial = async (as = identity) => new RawPeer(await network.dialAs(as)(new AbortController().signal));
  return { hub, network, dial };
}

class RawPeer {
  readonly #line: Transport;
  readonly got: Decoded[] = [];
  closed = false;

  constructor(line: Transport) {
    this.#line = line;
    line.start({
      onFrame: (bytes) => this.got.push(decodeFrame(bytes)),
      onWritable() {},
      onClosed: () => (this.closed = true),
    });
  }

  say(out: Frame): void {
    this.#line.send(encodeFrame(out));
  }

  babble(bytes: Uint8Array): void {
    this.#line.send(bytes);
  }

  hangUp(): void {
    this.#line.abort();
  }

  async hear<T extends Frame["type"]>(type: T): Promise<FrameOf<T>["body"]> {
    await until(() => this.got.some((one) => one.type === type));
    return (this.got.find((one) => one.type === type) as unknown as FrameOf<T>).body;
  }
}

async function until(what: () => boolean | Promise<boolean>, clock?: FakeClock, stepMs = 10): Promise<void> {
  const deadline = Date.now() + 5_000;
  while (!(await what())) {
    if (Date.now() > deadline) throw new Error(`still not: ${what.toString()}`);
    if (clock) await clock.advance(stepMs);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

function pub(seq: number, prev: number): Frame {
  return frame("pub", {
    seq,
    prev,
    class: MessageClass.EVENT,
    topic: "event",
    key: "k",
    body: String(seq),
    at: 0,
  });
}

describe("peers with bad manners", () => {
  test.each<[string, Frame, CloseCode]>([
    ["a message before HELLO", pub(1, 0), CloseCode.PROTOCOL],
    [
      "WELCOME from the dialler",
      frame("welcome", {
        version: 1,
        features: 0,
        epoch: "",
        cursor: undefined,
        software: "",
        generation: 0,
      }),
      CloseCode.PROTOCOL,
    ],
    [
      "a version from the future",
      frame("hello", { ...hello, minVersion: 8, maxVersion: 9 }),
      CloseCode.VERSION,
    ],
    ["the identity of another", frame("hello", { ...hello, uid: "other" }), CloseCode.IDENTITY],
    ["the tenant of another", frame("hello", { ...hello, tenantUid: "other" }), CloseCode.IDENTITY],
    ["the role of an agent", frame("hello", { ...hello, role: Role.AGENT }), CloseCode.IDENTITY],
  ])("%s ends the line with its close code", async (_, said, code) => {
    const { dial, hub } = await stage();
    const peer = await dial();
    peer.say(said);
    expect(await peer.hear("goaway")).toMatchObject({ code });
    await until(() => peer.closed);
    expect(hub.peers()).toEqual([]);
  });

  test.each<[string, Frame]>([
    ["HELLO twice", frame("hello", hello)],
    ["a message that skips one", pub(3, 2)],
    ["an acknowledgement of what was never sent", frame("ack", { seq: 7 })],
    ["a stream that was not offered", { type: "open", stream: 1, body: { service: "vcenter", maxData: 0 } }],
  ])("an open line ends by %s", async (_, said) => {
    const { dial } = await stage();
    const peer = await dial();
    peer.say(frame("hello", hello));
    await peer.hear("welcome");
    peer.say(said);
    expect(await peer.hear("goaway")).toMatchObject({ code: CloseCode.PROTOCOL });
    await until(() => peer.closed);
  });

  test("random bytes, before and after HELLO, end their line and touch nobody else", async () => {
    const { dial, hub } = await stage();
    const good = await dial({ ...identity, uid: "good" });
    good.say(frame("hello", { ...hello, uid: "good" }));
    await good.hear("welcome");
    await fc.assert(
      fc.asyncProperty(
        fc.boolean(),
        fc.array(fc.uint8Array({ maxLength: 64 }), { minLength: 1, maxLength: 5 }),
        async (greets, rubbish) => {
          const peer = await dial();
          if (greets) peer.say(frame("hello", hello));
          for (const bytes of rubbish) peer.babble(bytes);
          peer.babble(Uint8Array.of(99)); // surely malformed
          await until(() => peer.closed || peer.got.some((one) => one.type === "goaway"));
          peer.hangUp();
        },
      ),
      { numRuns: 60 },
    );
    await until(() => hub.peers().length === 1);
    expect(hub.peers()[0]?.identity.uid).toBe("good");
  });

  test("a peer that says nothing is cut after 10 s, one that ignores GOAWAY after 1 s more", async () => {
    const clock = fakeClock();
    const { dial, network } = await stage({}, clock);
    const silent = await dial();
    const startedAt = clock.now();
    await until(() => silent.closed, clock, 100);
    expect(clock.now() - startedAt).toBeLessThanOrEqual(10_200);
    const deaf = await dial();
    deaf.say(pub(1, 0));
    network.line.freezeDown(true);
    const saidAt = clock.now();
    await until(() => deaf.closed, clock, 100);
    expect(clock.now() - saidAt).toBeLessThanOrEqual(1_200);
  });

  test("lines that wait for admission are limited", async () => {
    const { dial } = await stage({ maxKnocking: 2 });
    const peers = [await dial(), await dial(), await dial()];
    await until(() => peers[2]?.closed === true);
    expect(peers.map((peer) => peer.closed)).toEqual([false, false, true]);
    for (const peer of peers) peer.hangUp();
  });
});

describe("admission", () => {
  test("of two lines that wait for admission together the later one wins, in whatever order the answers come", async () => {
    for (const order of [
      [0, 1],
      [1, 0],
    ] as const) {
      const answers: (() => void)[] = [];
      const allow = () => new Promise<boolean>((resolve) => answers.push(() => resolve(true)));
      const { dial, hub } = await stage({ allow });
      const peers = [await dial({ ...identity, serial: "aa" }), await dial({ ...identity, serial: "bb" })];
      for (const peer of peers) peer.say(frame("hello", hello));
      await until(() => answers.length === 2);
      for (const at of order) {
        answers[at]?.();
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      await peers[1]?.hear("welcome");
      expect(await peers[0]?.hear("goaway")).toMatchObject({ code: CloseCode.SUPERSEDED });
      expect(hub.peers().map((peer) => peer.identity.serial)).toEqual(["bb"]);
    }
  });

  test("a peer cut while it is being admitted does not come in", async () => {
    let answer: () => void = () => {};
    const { dial, hub } = await stage({
      allow: () => new Promise((resolve) => (answer = () => resolve(true))),
    });
    const peer = await dial();
    peer.say(frame("hello", hello));
    await new Promise((resolve) => setTimeout(resolve, 5));
    hub.disconnect(identity);
    answer();
    expect(await peer.hear("goaway")).toMatchObject({ code: CloseCode.DISCONNECTED });
    await until(() => peer.closed);
    expect([hub.peers(), peer.got.some((one) => one.type === "welcome")]).toEqual([[], false]);
  });

  test("trouble in allow is trouble of the plane, not a refusal", async () => {
    const { dial } = await stage({ allow: () => Promise.reject(new Error("database away")) });
    const peer = await dial();
    peer.say(frame("hello", hello));
    expect(await peer.hear("goaway")).toMatchObject({ code: CloseCode.INTERNAL });
  });
});

describe("restarts", () => {
  test("what a hub stored and did not handle, the next one handles, with the peer away", async () => {
    const database = await openDatabase(":memory:", { migrations: [] });
    ends.push(() => database.close());
    const pair = await memoryLinkPair({ hubDatabase: database });
    await pair.link.publish({ topic: "late", class: "event", key: "k", body: 42 });
    await until(async () => (await pair.link.backlog()) === 0);
    await pair.close();
    const { hub } = await stage({}, systemClock, database);
    const got: unknown[] = [];
    hub.handle("late", (from, { body }) => (got.push([from.uid, from.tenantUid, body]), Promise.resolve()));
    await until(() => got.length === 1);
    expect(got).toEqual([["gateway-1", "tenant-1", 42]]);
  });

  test("a message for a peer that was never seen waits for it", async () => {
    const { hub, dial } = await stage();
    await hub.publish(identity, { topic: "desired", class: "state", key: "c", body: { a: 1 } });
    expect(await hub.backlog(identity)).toBe(1);
    const peer = await dial();
    peer.say(frame("hello", hello));
    expect(await peer.hear("pub")).toMatchObject({ seq: 1, prev: 0, topic: "desired", body: '{"a":1}' });
    peer.say(frame("ack", { seq: 1 }));
    await until(async () => (await hub.backlog(identity)) === 0);
  });

  test("a hub whose database went back in time begins a new epoch, and what it has still arrives", async () => {
    const { hub, dial } = await stage();
    await hub.publish(identity, { topic: "desired", class: "event", key: "c", body: "fresh" });
    const first = await dial();
    first.say(frame("hello", hello));
    const before = await first.hear("welcome");
    first.hangUp();
    const second = await dial();
    second.say(frame("hello", { ...hello, cursor: { epoch: before.epoch, seq: 900 } })); // numbers this hub never gave
    const after = await second.hear("welcome");
    expect(after.epoch).not.toBe(before.epoch);
    expect(await second.hear("pub")).toMatchObject({ seq: 1, prev: 0, body: '"fresh"' });
  });

  test("a link whose database is new is served from the beginning, and told what is gone", async () => {
    const { hub, dial } = await stage();
    for (let i = 1; i <= 3; i++)
      await hub.publish(identity, { topic: "desired", class: "event", key: "c", body: i });
    const first = await dial();
    first.say(frame("hello", hello));
    await until(() => first.got.filter((one) => one.type === "pub").length === 3);
    first.say(frame("ack", { seq: 2 }));
    await until(async () => (await hub.backlog(identity)) === 1);
    const fresh = await dial();
    fresh.say(frame("hello", { ...hello, epoch: "another" }));
    expect(await fresh.hear("gap")).toMatchObject({ seq: 2, prev: 0, first: 1, count: 2 });
    expect(await fresh.hear("pub")).toMatchObject({ seq: 3, prev: 2 });
  });
});

test("a link whose database went back in time begins a new epoch by itself", async () => {
  const hubDatabase = await openDatabase(":memory:", { migrations: [] });
  ends.push(() => hubDatabase.close());
  const first = await memoryLinkPair({ hubDatabase });
  first.hub.handle("event", () => Promise.resolve());
  for (let i = 0; i < 5; i++) await first.link.publish({ topic: "event", class: "event", key: "k", body: i });
  await until(async () => (await first.link.backlog()) === 0);
  const { epoch } = (await hubDatabase.get<{ epoch: string }>(
    "SELECT in_epoch AS epoch FROM tunnel_peer",
  )) ?? { epoch: "" };
  await first.close();
  const restored = await openDatabase(":memory:", { migrations: [] });
  ends.push(() => restored.close());
  const blank = await memoryLinkPair({ linkDatabase: restored });
  await blank.close();
  await restored.write((tx) => tx.run("UPDATE tunnel_peer SET epoch = ?, acked = 0", epoch)); // the state before the five
  const second = await memoryLinkPair({
    hubDatabase,
    linkDatabase: restored,
    link: { retry: { baseMs: 1, capMs: 5 } },
  });
  ends.push(() => second.close());
  const got: unknown[] = [];
  await second.link.publish({ topic: "event", class: "event", key: "k", body: "after" });
  second.hub.handle("event", (_, m) => (got.push([m.body, m.epoch !== epoch]), Promise.resolve()));
  await until(() => got.length === 1);
  expect(got).toEqual([["after", true]]);
});
