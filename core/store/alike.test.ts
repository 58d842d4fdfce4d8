// Memory and SQLite are told apart by nothing, whatever callers do; and what garbage collection leaves follows from who owned whom.
import fc from "fast-check";
import { expect, test } from "vitest";
import { ownerReference } from "../resource/owner.ts";
import { systemClock } from "../time/clock.ts";
import { command, deterministicDeps, Life } from "./commands-testing.ts";
import { Follower, widgets, type Widget } from "./contract.ts";
import { memoryStore } from "./memory-store.ts";
import { sqliteStore } from "./sqlite-store.ts";
import type { OwnedStore } from "./store.ts";

async function everything(store: OwnedStore): Promise<unknown> {
  const list = await store.list(widgets);
  const changes = Number(list.revision) - 1;
  const follower = new Follower<Widget>((signal) => store.watch(widgets, { after: "1" }, signal), 5000);
  await follower.upTo(changes);
  await follower.stop();
  return { list, events: follower.events };
}

test("any commands have the same results, lists and events in memory and in SQLite", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(command, { maxLength: 40 }), async (commands) => {
      const [a, b] = [deterministicDeps(), deterministicDeps()];
      const memory = memoryStore(a);
      const sqlite = await sqliteStore(":memory:", { ...b, pollMs: 0 });
      try {
        const [one, other] = [new Life(memory, a.clock), new Life(sqlite, b.clock)];
        for (const each of commands) expect(await other.live(each), each.do).toEqual(await one.live(each));
        expect(await everything(sqlite)).toEqual(await everything(memory));
      } finally {
        await memory.close();
        await sqlite.close();
      }
    }),
    { numRuns: 150 },
  );
});

/** For each object the numbers of its owners, which are older; and the objects that somebody deletes. */
const family = fc.record({
  owners: fc.array(fc.uniqueArray(fc.nat(11), { maxLength: 3 }), { minLength: 2, maxLength: 12 }),
  deleted: fc.uniqueArray(fc.nat(11), { maxLength: 4 }),
});

function survivors({ owners, deleted }: { owners: number[][]; deleted: number[] }): string[] {
  const alive: boolean[] = [];
  for (const [index, numbers] of owners.entries()) {
    const older = numbers.filter((number) => number < index);
    alive[index] =
      !deleted.includes(index) && (older.length === 0 || older.some((number) => alive[number] === true));
  }
  return owners.flatMap((_, index) => (alive[index] ? [`w${String(index).padStart(2, "0")}`] : []));
}

test("what is left of any family is what has an owner left, or never had one", async () => {
  await fc.assert(
    fc.asyncProperty(family, async ({ owners, deleted }) => {
      const store = memoryStore({ clock: systemClock });
      const make = (name: string, owned: readonly Widget[]) =>
        store.create(widgets, {
          metadata: {
            name,
            namespace: "n",
            ownerReferences: owned.map((owner) => ownerReference(widgets, owner)),
          },
        });
      const made: Widget[] = [];
      for (const [index, numbers] of owners.entries()) {
        const owned = numbers.flatMap((number) => made[number] ?? []);
        made.push(await make(`w${String(index).padStart(2, "0")}`, owned));
      }
      for (const number of deleted) {
        const { name } = made[number]?.metadata ?? { name: "none" };
        await store.delete(widgets, { namespace: "n", name }).catch(() => {}); // gone with its owner already
      }
      // The collector works in the order of events: when this orphan is gone, every generation before it is, but for its children.
      for (let generation = 0; generation <= owners.length; generation++) {
        const parent = await make("z-parent", []);
        await make("z-child", [parent]);
        await store.delete(widgets, { namespace: "n", name: "z-parent" });
        await gone(store, "z-child");
      }
      const { items } = await store.list(widgets);
      expect(items.map(({ metadata }) => metadata.name)).toEqual(survivors({ owners, deleted }));
      await store.close();
    }),
    { numRuns: 150 },
  );
});

async function gone(store: OwnedStore, name: string): Promise<void> {
  const deadline = Date.now() + 5000;
  while (await store.get(widgets, { namespace: "n", name })) {
    if (Date.now() > deadline) throw new Error(`${name} is still there`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
