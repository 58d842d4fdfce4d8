import { describe, expect, test } from "vitest";
import { listAll, modify } from "../helpers.ts";
import type { ResourceStore } from "../store.ts";
import { widgets, type Widget } from "./kinds.ts";
import { codeOf, type Trial } from "./trial.ts";

/** Many objects, many writers, and life after a restart (R12). */
export function many(the: () => Trial): void {
  describe("many objects", () => {
    test(
      "all are listed in pages, each once, and the last write is the newest",
      { timeout: 300_000 },
      async () => {
        const { store, namespace, many: count } = the();
        const names = Array.from({ length: count }, (_, i) => `w${String(i).padStart(6, "0")}`);
        const queue = [...names];
        const worker = async () => {
          for (let name = queue.pop(); name; name = queue.pop()) await the().widget(name);
        };
        await Promise.all(Array.from({ length: 64 }, worker));

        const sizes: number[] = [];
        const seen: string[] = [];
        let next: string | undefined;
        do {
          const page = await store.list(widgets, { namespace, limit: 500, ...(next ? { next } : {}) });
          sizes.push(page.items.length);
          seen.push(...page.items.map(({ metadata }) => metadata.name));
          next = page.next;
        } while (next);
        expect(seen).toEqual(names);
        expect(Math.max(...sizes)).toBe(Math.min(500, count));
        expect((await listAll(store, widgets, { namespace })).items).toHaveLength(count);
        expect((await store.list(widgets, { namespace })).items).toHaveLength(count);
      },
    );
  });

  describe("two writers on the same data", () => {
    test("each sees what the other wrote, and conflicts are noticed", async ({ skip }) => {
      const { store, setup } = the();
      if (!setup.another) return skip("this backend has one writer");
      const other = await setup.another();
      const made = await the().widget("a", { size: 1 });
      const theirs = (await other.get(widgets, the().key("a")))!;
      expect(theirs).toEqual(made);
      await other.update(widgets, { ...theirs, spec: { size: 2 } });
      expect(await codeOf(store.update(widgets, { ...made, spec: { size: 3 } }))).toBe("Conflict");
      expect((await the().read("a"))?.spec?.size).toBe(2);
    });

    test("one name is created once, and no step of a counter is lost", async ({ skip }) => {
      const { store, setup } = the();
      if (!setup.another) return skip("this backend has one writer");
      const stores: ResourceStore[] = [store, await setup.another()];
      for (let i = 0; i < 10; i++) {
        const draft = { metadata: { name: `w${i}`, namespace: the().namespace }, spec: {} };
        const results = await Promise.allSettled(stores.map((each) => each.create(widgets, draft)));
        expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
      }
      const step = (object: Widget) => void (object.spec = { size: (object.spec?.size ?? 0) + 1 });
      await Promise.all(
        stores.map(async (each) => {
          for (let i = 0; i < 10; i++) await modify(each, widgets, the().key("w0"), step);
        }),
      );
      expect((await the().read("w0"))?.spec?.size).toBe(21);
    });

    test("a watch of one tells what both wrote, in one order", async ({ skip }) => {
      const { store, setup } = the();
      if (!setup.another) return skip("this backend has one writer");
      const other = await setup.another();
      const after = await the().revision();
      const watches = [the().follow({ after }), the().follow({ after, store: other })];
      const stores = [store, other];
      for (let i = 0; i < 20; i++) {
        await stores[i % 2]!.create(widgets, {
          metadata: { name: `w${i}`, namespace: the().namespace },
          spec: {},
        });
      }
      for (const watch of watches) {
        await watch.upTo(20);
        expect(watch.story).toEqual(Array.from({ length: 20 }, (_, i) => `Added w${i}`));
      }
    });
  });

  describe("after a restart (R12)", () => {
    test("everything is as it was, and a watch goes on where it was", async ({ skip }) => {
      const { store, setup } = the();
      if (!setup.reopen) return skip("this backend does not outlive its process");
      const made = await the().widget("a", { size: 1 });
      const revision = await the().revision();
      const next = await store.update(widgets, { ...made, spec: { size: 2 } });
      await the().widget("b");
      const again = await setup.reopen();
      expect(await again.get(widgets, the().key("a"))).toEqual(next);
      const watch = the().follow({ after: revision, store: again });
      await again.delete(widgets, the().key("b"));
      await watch.upTo(3);
      expect(watch.story).toEqual(["Modified a", "Added b", "Deleted b"]);
    });

    test("what lost its owner just before goes all the same", async ({ skip }) => {
      const { store, setup } = the();
      if (!setup.reopen) return skip("this backend does not outlive its process");
      const parent = await the().widget("parent");
      const { name, uid } = parent.metadata;
      const ownerReferences = [{ apiVersion: "test.pcg.dev/v1", kind: "Widget", name, uid }];
      for (let i = 0; i < 20; i++) await the().widget(`child${i}`, {}, { ownerReferences });
      const deleting = store.delete(widgets, the().key("parent"));
      await deleting;
      const again = await setup.reopen();
      await the().eventually("the children go", async () => {
        const { items } = await again.list(widgets, { namespace: the().namespace });
        return items.length === 0;
      });
    });
  });
}
