import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { spawn, type ChildProcess } from "node:child_process";
import { afterEach, describe, expect, test } from "vitest";
import { Fault } from "../fault.ts";
import { silentLogger } from "../log.ts";
import { memoryStore } from "../store/memory-store.ts";
import type { ResourceStore } from "../store/store.ts";
import { systemClock } from "../time/clock.ts";
import { fakeClock, type FakeClock } from "../time/fake-clock.ts";
import { fileLeadership } from "./file-leadership.ts";
import { leaseLeadership, leases } from "./lease-leadership.ts";
import { soleLeadership, type Leadership } from "./leadership.ts";

const cleanups: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});

/** One who wants to lead; `log` says when it begins and ends, and how many lead at the moment. */
function candidate(leadership: Leadership, name: string, log: string[]) {
  const stop = new AbortController();
  cleanups.push(() => stop.abort());
  const ended = leadership.lead(async (signal) => {
    log.push(`${name} leads`);
    if (!signal.aborted)
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
    log.push(`${name} ends`);
  }, stop.signal);
  ended.catch(() => {});
  return { stop: () => stop.abort(), ended };
}

describe("leadership by lease", () => {
  const key = { namespace: "pcg-system", name: "gateway" };
  function world() {
    const clock = fakeClock();
    const store = memoryStore({ clock });
    cleanups.push(() => store.close());
    /** A process with its own line to the store; `cut` breaks it. */
    const process = (identity: string, ownClock: FakeClock = clock) => {
      const line = { cut: false };
      const through = <T>(work: () => Promise<T>): Promise<T> =>
        line.cut ? Promise.reject(new Fault("Unavailable", "the line is cut")) : work();
      const view: ResourceStore = {
        get: (kind, at, signal) => through(() => store.get(kind, at, signal)),
        list: (kind, options, signal) => through(() => store.list(kind, options, signal)),
        create: (kind, draft) => through(() => store.create(kind, draft)),
        update: (kind, object) => through(() => store.update(kind, object)),
        updateStatus: (kind, object) => through(() => store.updateStatus(kind, object)),
        delete: (kind, at, options) => through(() => store.delete(kind, at, options)),
        watch: (kind, options, signal) => store.watch(kind, options, signal),
      };
      const deps = { store: view, clock: ownClock, log: silentLogger, random: () => 0.5 };
      return { line, leadership: leaseLeadership(deps, { ...key, identity }) };
    };
    return { clock, store, process };
  }

  test("one leads, the other waits for its turn, and need not wait long when the first steps down", async () => {
    const { clock, store, process } = world();
    const log: string[] = [];
    const a = candidate(process("a").leadership, "a", log);
    await clock.advance(100);
    candidate(process("b").leadership, "b", log);
    await clock.advance(120_000);
    expect(log).toEqual(["a leads"]);
    a.stop();
    await clock.advance(0);
    await a.ended;
    await clock.advance(3_000);
    expect(log).toEqual(["a leads", "a ends", "b leads"]);
    const { spec } = (await store.get(leases, key)) ?? {};
    expect(spec).toMatchObject({ holderIdentity: "b", leaseDurationSeconds: 15, leaseTransitions: 1 });
    expect(spec?.renewTime).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
  });

  test("a leader whose line is cut ends its work before anybody else begins", async () => {
    const { clock, process } = world();
    const log: string[] = [];
    const a = process("a");
    candidate(a.leadership, "a", log);
    await clock.advance(100);
    candidate(process("b").leadership, "b", log);
    await clock.advance(60_000);
    a.line.cut = true;
    await clock.advance(9_000);
    expect(log).toEqual(["a leads"]);
    await clock.advance(3_000);
    expect(log).toEqual(["a leads", "a ends"]);
    await clock.advance(15_000);
    expect(log).toEqual(["a leads", "a ends", "b leads"]);
    a.line.cut = false; // it competes again, and waits
    await clock.advance(60_000);
    expect(log).toEqual(["a leads", "a ends", "b leads"]);
  });

  test("a store that is away for less than the lease lasts changes nothing", async () => {
    const { clock, process } = world();
    const log: string[] = [];
    const a = process("a");
    candidate(a.leadership, "a", log);
    await clock.advance(60_000);
    a.line.cut = true;
    await clock.advance(6_000);
    a.line.cut = false;
    await clock.advance(60_000);
    expect(log).toEqual(["a leads"]);
  });

  test("a dead leader is replaced, though its clock was years ahead", async () => {
    const { clock, process } = world();
    const log: string[] = [];
    const ahead = fakeClock(clock.now() + 10 * 365 * 86_400_000);
    candidate(process("a", ahead).leadership, "a", log);
    await ahead.advance(100); // and never again: the process hangs
    candidate(process("b").leadership, "b", log);
    await clock.advance(14_000);
    expect(log).toEqual(["a leads"]);
    await clock.advance(4_000);
    expect(log).toEqual(["a leads", "b leads"]);
  });

  test("whoever lost the lead to another ends at once", async () => {
    const { clock, store, process } = world();
    const log: string[] = [];
    candidate(process("a").leadership, "a", log);
    await clock.advance(100);
    const lease = await store.get(leases, key);
    if (!lease) throw new Error("no lease");
    await store.update(leases, { ...lease, spec: { ...lease.spec, holderIdentity: "thief" } });
    await clock.advance(3_000);
    expect(log).toEqual(["a leads", "a ends"]);
  });

  test("work that ends by itself gives the lead up; work that fails says why", async () => {
    const { clock, store, process } = world();
    const never = new AbortController().signal;
    const done = process("a").leadership.lead(() => Promise.resolve(), never);
    await clock.advance(100);
    await done;
    expect((await store.get(leases, key))?.spec.holderIdentity).toBe("");
    const failed = process("b").leadership.lead(() => Promise.reject(new Fault("Invalid", "no")), never);
    failed.catch(() => {});
    await clock.advance(5_000);
    await expect(failed).rejects.toMatchObject({ code: "Invalid" });
  });
});

describe("leadership by file", () => {
  async function file() {
    const folder = await mkdtemp(join(tmpdir(), "leader-"));
    cleanups.push(() => rm(folder, { recursive: true, force: true }));
    return join(folder, "lead.db");
  }
  const deps = { clock: systemClock, log: silentLogger };
  const until = async (condition: () => boolean) => {
    for (const deadline = Date.now() + 15_000; !condition();) {
      if (Date.now() > deadline) throw new Error("not in time");
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };

  test("one leads, the other waits until the first steps down", async () => {
    const path = await file();
    const log: string[] = [];
    const a = candidate(fileLeadership(deps, { path, identity: "a", retryMs: 20 }), "a", log);
    await until(() => log.length === 1);
    const b = candidate(fileLeadership(deps, { path, identity: "b", retryMs: 20 }), "b", log);
    await new Promise((resolve) => setTimeout(resolve, 150)); // several tries of b
    expect(log).toEqual(["a leads"]);
    a.stop();
    await a.ended;
    await until(() => log.length === 3);
    expect(log).toEqual(["a leads", "a ends", "b leads"]);
    b.stop();
    await b.ended;
  });

  test("waiting ends at once when it is called off", async () => {
    const path = await file();
    const log: string[] = [];
    const a = candidate(fileLeadership(deps, { path, identity: "a" }), "a", log);
    await until(() => log.length === 1);
    const b = candidate(fileLeadership(deps, { path, identity: "b", retryMs: 60_000 }), "b", log);
    await new Promise((resolve) => setTimeout(resolve, 50));
    b.stop();
    await b.ended;
    expect(log).toEqual(["a leads"]);
    a.stop();
    await a.ended;
  });

  test("a leader killed by SIGKILL leaves no lock behind", async () => {
    const path = await file();
    const holder = await spawnHolder(path);
    const log: string[] = [];
    const b = candidate(fileLeadership(deps, { path, identity: "b", retryMs: 20 }), "b", log);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(log).toEqual([]);
    holder.kill("SIGKILL");
    await until(() => log.length === 1);
    expect(log).toEqual(["b leads"]);
    b.stop();
    await b.ended;
  });

  test("work that fails says why", async () => {
    const path = await file();
    const lead = fileLeadership(deps, { path, identity: "a" }).lead(
      () => Promise.reject(new Fault("Invalid", "no")),
      new AbortController().signal,
    );
    await expect(lead).rejects.toMatchObject({ code: "Invalid", message: "no" });
  });

  /** A process of its own that leads and says so. */
  async function spawnHolder(path: string): Promise<ChildProcess> {
    const here = JSON.stringify(new URL("file-leadership.ts", import.meta.url).href);
    const clock = JSON.stringify(new URL("../time/clock.ts", import.meta.url).href);
    const logger = JSON.stringify(new URL("../log.ts", import.meta.url).href);
    const script = `
      const { fileLeadership } = await import(${here});
      const { systemClock } = await import(${clock});
      const { silentLogger } = await import(${logger});
      await fileLeadership({ clock: systemClock, log: silentLogger }, { path: ${JSON.stringify(path)}, identity: "child" })
        .lead(async () => { process.stdout.write("leads"); await new Promise((r) => setTimeout(r, 60000)); }, new AbortController().signal);`;
    const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    cleanups.push(() => void child.kill("SIGKILL"));
    await new Promise<void>((resolve, reject) => {
      child.stdout.once("data", () => resolve());
      child.once("exit", () => reject(new Error("the holder ended")));
    });
    return child;
  }
});

test("who is alone leads at once", async () => {
  const log: string[] = [];
  const a = candidate(soleLeadership, "a", log);
  expect(log).toEqual(["a leads"]);
  a.stop();
  await a.ended;
});
