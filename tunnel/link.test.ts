import { afterEach, describe, expect, test } from "vitest";
import { isFault, openDatabase, systemClock } from "#core";
import { fakeClock } from "#core/time/fake-clock.ts";
import type { Link, LinkState, Message, MessageDraft } from "./link.ts";
import { memoryLinkPair, type MemoryLink, type MemoryLinkOptions } from "./testing.ts";

const open: MemoryLink[] = [];
afterEach(async () => {
  for (const pair of open.splice(0)) await pair.close();
});

async function pair(options?: MemoryLinkOptions): Promise<MemoryLink> {
  const made = await memoryLinkPair(options);
  open.push(made);
  return made;
}

function event(key: string, body: unknown): MessageDraft {
  return { topic: "event", class: "event", key, body };
}

async function until(what: () => boolean | Promise<boolean>, withinMs = 5_000): Promise<void> {
  const deadline = Date.now() + withinMs;
  while (!(await what())) {
    if (Date.now() > deadline) throw new Error(`still not: ${what.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

function state(link: Link, kind: LinkState["kind"]): Promise<void> {
  return until(() => link.state.kind === kind);
}

describe("a link and a hub in memory", () => {
  test("messages go both ways, in order, and are acknowledged", async () => {
    const { link, hub, identity } = await pair();
    const up: unknown[] = [];
    const down: unknown[] = [];
    hub.handle("event", (from, message) => {
      up.push([from.uid, message.body]);
      return Promise.resolve();
    });
    link.handle("desired", (message) => {
      down.push(message.body);
      return Promise.resolve();
    });
    for (let i = 0; i < 5; i++) await link.publish(event("a", i));
    for (let i = 0; i < 5; i++)
      await hub.publish(identity, { topic: "desired", class: "event", key: "c", body: { i } });
    await until(() => up.length === 5 && down.length === 5);
    expect(up).toEqual([0, 1, 2, 3, 4].map((i) => ["gateway-1", i]));
    expect(down).toEqual([0, 1, 2, 3, 4].map((i) => ({ i })));
    await until(async () => (await link.backlog()) === 0 && (await hub.backlog(identity)) === 0);
    expect(hub.peers()).toMatchObject([{ identity, transport: "memory" }]);
  });

  test("what is published while the line is down arrives after it, once and in order", async () => {
    const { link, hub, network } = await pair({ link: { retry: { baseMs: 1, capMs: 5 } } });
    const got: Message[] = [];
    hub.handle("event", (_, message) => {
      got.push(message);
      return Promise.resolve();
    });
    await state(link, "connected");
    network.down = true;
    network.line.cut();
    for (let i = 0; i < 20; i++) await link.publish(event("a", i));
    expect(await link.backlog()).toBe(20);
    network.down = false;
    await until(() => got.length === 20);
    expect(got.map((message) => message.body)).toEqual([...Array(20).keys()]);
    expect(new Set(got.map((message) => message.epoch)).size).toBe(1);
  });

  test("a state message replaces the unsent one of its key", async () => {
    const { link, hub, network } = await pair({ link: { retry: { baseMs: 1, capMs: 5 } } });
    network.down = true;
    await state(link, "connected").catch(() => {});
    if (network.lines.length > 0) network.line.cut();
    for (let i = 0; i < 10; i++) {
      for (const key of ["a", "b"]) await link.publish({ topic: "status", class: "state", key, body: i });
    }
    expect(await link.backlog()).toBe(2);
    const got: [string, unknown][] = [];
    hub.handle("status", (_, { key, body }) => {
      got.push([key, body]);
      return Promise.resolve();
    });
    network.down = false;
    await until(() => got.some(([key, body]) => key === "b" && body === 9));
    expect(got.filter(([, body]) => body === 9)).toEqual([
      ["a", 9],
      ["b", 9],
    ]);
  });

  test("a sample goes out while the line is up and is never stored", async () => {
    const { link, hub } = await pair();
    const got: Message[] = [];
    hub.handle("metrics", (_, message) => {
      got.push(message);
      return Promise.resolve();
    });
    await state(link, "connected");
    await link.publish({ topic: "metrics", class: "sample", key: "cpu", body: 1 });
    await until(() => got.length === 1);
    expect(got[0]).toMatchObject({ seq: 0, class: "sample", body: 1 });
    expect(await link.backlog()).toBe(0);
  });

  test("a message of more than 256 KiB is Invalid, one of exactly that much arrives", async () => {
    const { link, hub } = await pair();
    const got: number[] = [];
    hub.handle("event", (_, { body }) => {
      got.push((body as string).length);
      return Promise.resolve();
    });
    const most = 256 * 1024 - 2; // the quotes
    await link.publish(event("a", "x".repeat(most)));
    await expect(link.publish(event("a", "x".repeat(most + 1)))).rejects.toMatchObject({ code: "Invalid" });
    await expect(link.publish(event("a", "ä".repeat(most / 2 + 1)))).rejects.toMatchObject({
      code: "Invalid",
    });
    await expect(link.publish(event("a", undefined))).rejects.toMatchObject({ code: "Invalid" });
    await expect(link.publish({ ...event("a", 1), topic: "a b" })).rejects.toMatchObject({ code: "Invalid" });
    await until(() => got.length === 1);
    expect(got).toEqual([most]);
  });

  test("messages of a topic without a handler wait, and hold nobody up", async () => {
    const { link, hub } = await pair();
    const got: string[] = [];
    hub.handle("event", (_, { key }) => {
      got.push(key);
      return Promise.resolve();
    });
    await link.publish({ topic: "later", class: "event", key: "x", body: 1 });
    await link.publish(event("a", 1));
    await until(async () => got.length === 1 && (await link.backlog()) === 0);
    hub.handle("later", (_, { key }) => {
      got.push(key);
      return Promise.resolve();
    });
    await until(() => got.length === 2);
    expect(got).toEqual(["a", "x"]);
  });
});

test("what was published under one identity is not sent under another", async () => {
  const disk = await openDatabase(":memory:", { migrations: [] });
  const before = await memoryLinkPair({ linkDatabase: disk, hub: { allow: () => false } });
  await before.link.publish(event("a", "for the old tenant"));
  expect(await before.link.backlog()).toBe(1);
  await before.close();
  const after = await pair({ linkDatabase: disk, identity: { uid: "gateway-2", tenantUid: "tenant-2" } });
  const got: unknown[] = [];
  after.hub.handle("event", (_, { body }) => (got.push(body), Promise.resolve()));
  await after.link.publish(event("a", "for the new tenant"));
  await until(async () => (await after.link.backlog()) === 0);
  expect(got).toEqual(["for the new tenant"]);
});

describe("failing and slow handlers", () => {
  test("a failed message comes again, later ones of its key behind it, other keys go on", async () => {
    const clock = fakeClock();
    const { link, hub } = await pair({ clock });
    const got: string[] = [];
    let failures = 2;
    hub.handle("event", (_, { key, body }) => {
      if (key === "bad" && failures-- > 0) return Promise.reject(new Error("not now"));
      got.push(`${key}${String(body)}`);
      return Promise.resolve();
    });
    for (const [key, body] of [
      ["bad", 1],
      ["good", 1],
      ["bad", 2],
      ["good", 2],
    ] as const)
      await link.publish(event(key, body));
    await until(async () => (await clock.advance(1), got.length === 2));
    expect(got).toEqual(["good1", "good2"]);
    await until(async () => (await clock.advance(1), await link.backlog()) === 0); // stored by the receiver, so acknowledged
    await until(async () => (await clock.advance(1_000), got.length === 4));
    expect(got).toEqual(["good1", "good2", "bad1", "bad2"]);
  });

  test("a handler that hangs holds up only its own topic", async () => {
    const clock = fakeClock();
    const { link, hub } = await pair({ clock });
    const got: unknown[] = [];
    let release = () => {};
    hub.handle("stuck", (_, { body }) => {
      got.push(`stuck${String(body)}`);
      return new Promise((resolve) => (release = resolve));
    });
    hub.handle("event", (_, { body }) => {
      got.push(body);
      return Promise.resolve();
    });
    await link.publish({ topic: "stuck", class: "event", key: "s", body: 1 });
    await link.publish({ topic: "stuck", class: "event", key: "t", body: 2 });
    for (let i = 0; i < 3; i++) await link.publish(event("a", i));
    await until(async () => (await clock.advance(50), (await link.backlog()) === 0));
    expect(got).toEqual(["stuck1", 0, 1, 2]);
    release();
    await until(() => got.length === 5);
    expect(got[4]).toBe("stuck2"); // one call at a time
  });
});

describe("the life of a line", () => {
  test("a silent blackhole is noticed within 15 s on both sides", async () => {
    const clock = fakeClock();
    const { link, hub, network } = await pair({ clock });
    await until(async () => (await clock.advance(1), link.state.kind === "connected"));
    await clock.advance(62_300);
    expect(link.state.kind).toBe("connected"); // PINGs keep an idle line alive
    network.line.freeze(true);
    network.down = true;
    const frozenAt = clock.now();
    while (link.state.kind === "connected" || hub.peers().length > 0) await clock.advance(100);
    expect(clock.now() - frozenAt).toBeLessThanOrEqual(15_000);
  });

  test("a line frozen in one direction is noticed within 15 s by the side that hears nothing", async () => {
    const clock = fakeClock();
    const { link, hub, network } = await pair({ clock });
    await until(async () => (await clock.advance(1), link.state.kind === "connected"));
    network.line.freezeUp(true);
    const frozenAt = clock.now();
    while (hub.peers().length > 0) await clock.advance(100);
    expect(clock.now() - frozenAt).toBeLessThanOrEqual(15_000);
    await until(async () => (await clock.advance(1_000), hub.peers().length === 1));
  });

  test("the round trip is measured", async () => {
    const clock = fakeClock();
    const { link } = await pair({ clock });
    await until(
      async () => (
        await clock.advance(100),
        link.state.kind === "connected" && link.state.rttMs !== undefined
      ),
    );
    expect(link.state).toMatchObject({ rttMs: 0, transport: "memory" });
  });

  test("closing twice is closing once; a closed link refuses to publish", async () => {
    const { link, hub } = await pair();
    await state(link, "connected");
    await Promise.all([link.close(), link.close()]);
    expect(link.state).toEqual({ kind: "closed" });
    await expect(link.publish(event("a", 1))).rejects.toSatisfy((error) => isFault(error, "Unavailable"));
    await until(() => hub.peers().length === 0);
  });
});

describe("who may come in", () => {
  test("the newest line of an identity wins at once, the older is told so and waits", async () => {
    const first = await pair({ clock: systemClock });
    const { openLink } = await import("./client/link.ts");
    const { silentLogger } = await import("#core");
    await state(first.link, "connected");
    const twin = await openLink(
      {
        ...{ clock: systemClock, log: silentLogger, random: Math.random, database: ":memory:" },
        dial: first.network.dialAs({ ...first.identity, serial: "02" }),
      },
      { identity: first.identity },
      new AbortController().signal,
    );
    await state(twin, "connected");
    await state(first.link, "waiting");
    expect(first.link.state).toMatchObject({ lastError: expect.stringContaining("newer line") as string });
    expect(first.hub.peers().map((peer) => peer.identity.serial)).toEqual(["02"]);
    await twin.close();
  });

  test("a revoked peer is cut, refused, and let in again when it is allowed again", async () => {
    let allowed = true;
    const clock = fakeClock();
    const { link, hub, identity } = await pair({ clock, hub: { allow: () => Promise.resolve(allowed) } });
    const seen: [string, boolean][] = [];
    hub.onPeers(({ uid }, connected) => seen.push([uid, connected]));
    await until(async () => (await clock.advance(1), link.state.kind === "connected"));
    allowed = false;
    hub.disconnect(identity);
    await until(async () => (await clock.advance(100), link.state.kind === "refused"));
    expect(link.state).toMatchObject({ reason: expect.stringContaining("not admitted") as string });
    await clock.advance(20 * 60_000);
    expect(link.state.kind).toBe("refused");
    allowed = true;
    await until(async () => (await clock.advance(60_000), link.state.kind === "connected"));
    expect(seen).toEqual([
      ["gateway-1", true],
      ["gateway-1", false],
      ["gateway-1", true],
    ]);
  });

  test("a peer that claims another name than its certificate's is refused", async () => {
    const { link, hub } = await pair({
      link: { identity: { role: "gateway", uid: "other", tenantUid: "tenant-1" } },
    });
    await state(link, "refused");
    expect(link.state).toMatchObject({
      reason: expect.stringContaining("the certificate gateway-1") as string,
    });
    expect(hub.peers()).toEqual([]);
  });
});
