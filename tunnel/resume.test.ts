// Nothing lost, nothing twice, order kept: random cuts, silences, crashes and failing handlers during messages both ways.
import { setMaxListeners } from "node:events";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Fault, openDatabase, silentLogger, type Database } from "#core";
import { fakeClock, type FakeClock } from "#core/time/fake-clock.ts";
import { openLink } from "./client/link.ts";
import type { Hub, Link, Message, MessageDraft, PeerIdentity } from "./link.ts";
import { openHub } from "./server/hub.ts";
import { memoryNetwork, type MemoryNetwork } from "./transport/memory.ts";

const identity: PeerIdentity = { role: "gateway", uid: "g", tenantUid: "t", serial: "01" };
const forever = new Promise<never>(() => {});

/** A process that can die at any moment: from then on it neither reads, writes, dials nor answers. */
class Process {
  dead = false;

  /** Writes under way when it dies may or may not have happened, as with a real disk. */
  database(real: Database): Database {
    const alive = <T>(result: Promise<T>): Promise<T> =>
      result.then(
        (value) => (this.dead ? forever : value),
        (error: unknown) => (this.dead ? forever : Promise.reject(error as Error)),
      );
    return {
      get: (sql, ...values) => (this.dead ? forever : alive(real.get(sql, ...values))),
      all: (sql, ...values) => (this.dead ? forever : alive(real.all(sql, ...values))),
      write: (work) =>
        this.dead
          ? forever
          : alive(
              real.write((tx) => (this.dead ? Promise.reject(new Fault("Cancelled", "died")) : work(tx))),
            ),
      close: () => Promise.resolve(),
    };
  }
}

/** What happened to one direction's messages. */
class Ledger {
  /** On the sender's disk: must arrive. */
  readonly committed: number[] = [];
  readonly keys = new Map<number, string>();
  readonly effects: { id: string; n: number; key: string; class: string }[] = [];
  next = 1;

  /** The handler's effect is a write under the message's own name, so it may be done twice; `raw` counts how often it was. */
  raw = 0;
  readonly #seen = new Set<string>();

  effect(message: Message): void {
    this.raw++;
    const id = `${message.epoch}/${message.seq}`;
    if (this.#seen.has(id)) return;
    this.#seen.add(id);
    this.effects.push({
      id,
      n: message.body as number,
      key: `${message.topic}/${message.key}`,
      class: message.class,
    });
  }
}

interface Plan {
  readonly seed: number;
  readonly faults: readonly Misfortune[];
  readonly messages: number;
}
type Misfortune = "cut" | "freeze" | "crashLink" | "crashHub" | "outage" | "none";

class World {
  readonly clock: FakeClock = fakeClock();
  readonly network: MemoryNetwork = memoryNetwork({ clock: this.clock, delayMs: 1 });
  readonly up = new Ledger();
  readonly down = new Ledger();
  readonly random: () => number;
  readonly #life = new AbortController();
  readonly #disks: { link: Database; hub: Database };
  #processes = { link: new Process(), hub: new Process() };
  #link: Link | undefined;
  #hub: Hub | undefined;

  constructor(disks: { link: Database; hub: Database }, seed: number) {
    this.#disks = disks;
    this.random = mulberry32(seed);
    setMaxListeners(100, this.#life.signal); // the dead never let go of it
  }

  async startLink(): Promise<void> {
    const process = (this.#processes.link = new Process());
    const dial = this.network.dialAs(identity);
    const deps = { clock: this.clock, log: silentLogger, random: this.random };
    this.#link = await openLink(
      {
        ...deps,
        database: process.database(this.#disks.link),
        dial: (signal) => (process.dead ? forever : dial(signal)),
      },
      { identity, window: { maxMessages: 8 } },
      this.#life.signal,
    );
    for (const topic of ["event", "state"])
      this.#link.handle(topic, (m) => this.#work(process, this.down, m));
  }

  async startHub(): Promise<void> {
    const process = (this.#processes.hub = new Process());
    const deps = { clock: this.clock, log: silentLogger, random: this.random };
    this.#hub = await openHub(
      { ...deps, database: process.database(this.#disks.hub), listen: this.network.listen },
      { allow: () => true, window: { maxMessages: 8 } },
      this.#life.signal,
    );
    for (const topic of ["event", "state"])
      this.#hub.handle(topic, (_, m) => this.#work(process, this.up, m));
  }

  publish(): void {
    const [ledger, process] =
      this.random() < 0.5 ? [this.up, this.#processes.link] : [this.down, this.#processes.hub];
    const n = ledger.next++;
    const kind = this.random() < 0.7 ? "event" : "state";
    const key = `k${Math.floor(this.random() * 3)}`;
    const draft: MessageDraft = { topic: kind, class: kind, key, body: n };
    ledger.keys.set(n, `${kind}/${key}`);
    const written = ledger === this.up ? this.#link?.publish(draft) : this.#hub?.publish(identity, draft);
    void written?.then(() => {
      if (!process.dead) ledger.committed.push(n);
    });
  }

  async befall(fault: Misfortune): Promise<void> {
    switch (fault) {
      case "cut":
        if (this.network.lines.length > 0) this.network.line.cut();
        break;
      case "freeze":
        if (this.network.lines.length > 0) this.network.line.freeze(true);
        break;
      case "outage":
        this.network.down = !this.network.down;
        break;
      case "crashLink":
        await this.#crash("link");
        await this.startLink();
        break;
      case "crashHub":
        await this.#crash("hub");
        await this.startHub();
        break;
      case "none":
        break;
    }
  }

  /** Resolves when everything committed has had its effect and nothing waits. */
  async calm(): Promise<void> {
    this.network.down = false;
    const deadline = Date.now() + 15_000;
    for (;;) {
      await this.clock.advance(500);
      await new Promise((resolve) => setImmediate(resolve));
      if (this.#isDone(this.up) && this.#isDone(this.down)) {
        const waiting = ((await this.#link?.backlog()) ?? 0) + ((await this.#hub?.backlog(identity)) ?? 0);
        if (waiting === 0) return;
      }
      if (Date.now() > deadline)
        throw new Error(`not all arrived: ${this.missing(this.up)} up, ${this.missing(this.down)} down`);
    }
  }

  missing(ledger: Ledger): string {
    const got = new Set(ledger.effects.map((e) => e.n));
    return ledger.committed.filter((n) => !got.has(n) && ledger.keys.get(n)?.startsWith("event")).join(",");
  }

  async stop(): Promise<void> {
    await Promise.all([this.#link?.close(), this.#hub?.close(), this.clock.advance(2_000)]);
  }

  #isDone(ledger: Ledger): boolean {
    const last = new Map<string, number>();
    for (const { key, n } of ledger.effects) last.set(key, Math.max(last.get(key) ?? 0, n));
    const got = new Set(ledger.effects.map((e) => e.n));
    return ledger.committed.every((n) => {
      const key = ledger.keys.get(n) ?? "";
      return key.startsWith("event") ? got.has(n) : (last.get(key) ?? 0) >= n; // a newer state stands for it
    });
  }

  async #work(process: Process, ledger: Ledger, message: Message): Promise<void> {
    const luck = this.random();
    if (luck < 0.05) throw new Fault("Unavailable", "not today");
    if (luck < 0.1) await new Promise<void>((resolve) => this.clock.after(400, resolve));
    if (process.dead) return forever;
    ledger.effect(message);
  }

  async #crash(which: "link" | "hub"): Promise<void> {
    this.#processes[which].dead = true;
    if (this.network.lines.length > 0) this.network.line.cut();
    await this.#disks[which].write(() => Promise.resolve()); // what the dead one had begun to write is written
  }
}

function mulberry32(seed: number): () => number {
  let a = seed | 0;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

async function live(plan: Plan): Promise<World> {
  const disks = {
    link: await openDatabase(":memory:", { migrations: [] }),
    hub: await openDatabase(":memory:", { migrations: [] }),
  };
  const world = new World(disks, plan.seed);
  await world.startHub();
  await world.startLink();
  const every = Math.max(1, Math.floor(plan.messages / (plan.faults.length + 1)));
  const faults = [...plan.faults];
  for (let i = 1; i <= plan.messages; i++) {
    world.publish();
    if (world.random() < 0.3) await world.clock.advance(Math.floor(world.random() * 400));
    const fault = i % every === 0 ? faults.shift() : undefined;
    if (fault) await world.befall(fault);
  }
  await world.calm();
  await world.stop();
  await disks.link.close();
  await disks.hub.close();
  return world;
}

function expectWhole(ledger: Ledger): void {
  const events = ledger.effects.filter((effect) => effect.class === "event").map((effect) => effect.n);
  expect(new Set(events).size).toBe(events.length); // no event under two names
  const byKey = new Map<string, number[]>();
  for (const { key, n } of ledger.effects) byKey.set(key, [...(byKey.get(key) ?? []), n]);
  for (const numbers of byKey.values()) expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
}

describe("resume", () => {
  const fault = fc.constantFrom<Misfortune>(
    "cut",
    "cut",
    "freeze",
    "crashLink",
    "crashHub",
    "outage",
    "none",
  );

  test("after any cuts, silences, crashes and failures: all events once, the newest state, each key in order", async () => {
    const plan = fc.record({
      seed: fc.integer(),
      faults: fc.array(fault, { maxLength: 12 }),
      messages: fc.integer({ min: 1, max: 120 }),
    });
    await fc.assert(
      fc.asyncProperty(plan, async (made) => {
        const world = await live(made);
        expectWhole(world.up);
        expectWhole(world.down);
      }),
      { numRuns: 40 },
    );
  });

  test("without a crash each handler succeeds exactly once for each message, however often the line breaks", async () => {
    const plan = fc.record({
      seed: fc.integer(),
      faults: fc.array(fc.constantFrom<Misfortune>("cut", "freeze", "outage"), {
        minLength: 5,
        maxLength: 20,
      }),
      messages: fc.constant(150),
    });
    await fc.assert(
      fc.asyncProperty(plan, async (made) => {
        const world = await live(made);
        expect(world.up.raw).toBe(world.up.effects.length);
        expect(world.down.raw).toBe(world.down.effects.length);
        expectWhole(world.up);
        expectWhole(world.down);
      }),
      { numRuns: 20 },
    );
  });
});
