import { describe, expect, test } from "vitest";
import type { LabelSelector } from "../../resource/selector.ts";
import { widgets, configMaps, gadgets } from "./kinds.ts";
import { codeOf, unique, type Trial } from "./trial.ts";

/** R9 to R11: lists, and what follows them. */
export function watches(the: () => Trial): void {
  describe("lists", () => {
    test("a list has all objects of the namespace in the order of their names, and no others", async () => {
      const { store, namespace } = the();
      const elsewhere = unique("trial");
      await the().makeNamespace(elsewhere);
      for (const name of ["b", "c", "a"]) await the().widget(name);
      await the().widget("d", {}, { namespace: elsewhere });
      const { items } = await store.list(widgets, { namespace });
      expect(items.map(({ metadata }) => metadata.name)).toEqual(["a", "b", "c"]);
      expect(items[0]).toEqual(await the().read("a"));
      const all = await store.list(widgets);
      expect(
        all.items.filter((each) => [namespace, elsewhere].includes(each.metadata.namespace!)),
      ).toHaveLength(4);
    });

    test("an empty list has a revision to watch from", async () => {
      const { items, revision } = await the().store.list(widgets, { namespace: the().namespace });
      expect(items).toEqual([]);
      const watch = the().follow({ after: revision });
      await the().widget("a");
      await watch.upTo(1);
      expect(watch.story).toEqual(["Added a"]);
    });

    test("a list by name has that object or nothing", async () => {
      const { store, namespace } = the();
      await the().widget("a");
      await the().widget("b");
      const named = async (name: string) => (await store.list(widgets, { namespace, name })).items;
      expect((await named("b")).map(({ metadata }) => metadata.name)).toEqual(["b"]);
      expect(await named("c")).toEqual([]);
    });

    const selectors: [string, LabelSelector, string[]][] = [
      ["tier=web", [{ key: "tier", op: "=", value: "web" }], ["a", "b"]],
      ["tier!=web", [{ key: "tier", op: "!=", value: "web" }], ["c", "d"]],
      ["tier in (db)", [{ key: "tier", op: "in", values: ["db", "cache"] }], ["c"]],
      ["tier notin (db)", [{ key: "tier", op: "notin", values: ["db"] }], ["a", "b", "d"]],
      ["tier", [{ key: "tier", op: "exists" }], ["a", "b", "c"]],
      ["!tier", [{ key: "tier", op: "!exists" }], ["d"]],
      [
        "tier=web,blue=yes",
        [
          { key: "tier", op: "=", value: "web" },
          { key: "blue", op: "=", value: "yes" },
        ],
        ["b"],
      ],
    ];
    test("a list by labels has what the selector wants", async () => {
      await the().widget("a", {}, { labels: { tier: "web" } });
      await the().widget("b", {}, { labels: { tier: "web", blue: "yes" } });
      await the().widget("c", {}, { labels: { tier: "db" } });
      await the().widget("d");
      for (const [text, labels, expected] of selectors) {
        const { items } = await the().store.list(widgets, { namespace: the().namespace, labels });
        expect(
          items.map(({ metadata }) => metadata.name),
          text,
        ).toEqual(expected);
      }
    });

    test("pages are one list: as it was at the first, whatever is written meanwhile", async () => {
      const { store, namespace } = the();
      for (let i = 0; i < 10; i++) await the().widget(`w${i}`, { size: i + 1 });
      const first = await store.list(widgets, { namespace, limit: 4 });
      expect(first.items).toHaveLength(4);
      await store.delete(widgets, the().key("w0"));
      await store.delete(widgets, the().key("w8"));
      await the().widget("w71");
      const w6 = (await the().read("w6"))!;
      await store.update(widgets, { ...w6, spec: { size: 66 } });
      await store.delete(widgets, the().key("w5"));
      await the().widget("w5", { size: 55 });

      const second = await store.list(widgets, { namespace, limit: 4, next: first.next! });
      const third = await store.list(widgets, { namespace, limit: 4, next: second.next! });
      const all = [...first.items, ...second.items, ...third.items];
      expect(all.map(({ metadata, spec }) => `${metadata.name} ${spec?.size}`)).toEqual(
        Array.from({ length: 10 }, (_, i) => `w${i} ${i + 1}`),
      );
      expect(third.next).toBeUndefined();

      const watch = the().follow({ after: first.revision });
      await watch.upTo(6);
      expect(watch.story).toEqual([
        "Deleted w0",
        "Deleted w8",
        "Added w71",
        "Modified w6",
        "Deleted w5",
        "Added w5",
      ]);
    });

    test("a page can be the whole list, and labels go with pages", async () => {
      const { store, namespace } = the();
      for (let i = 0; i < 9; i++) await the().widget(`w${i}`, {}, { labels: { odd: String(i % 2 === 1) } });
      expect((await store.list(widgets, { namespace, limit: 9 })).next).toBeUndefined();
      const labels: LabelSelector = [{ key: "odd", op: "=", value: "true" }];
      const names: string[] = [];
      let next: string | undefined;
      do {
        const page = await store.list(widgets, { namespace, labels, limit: 3, ...(next ? { next } : {}) });
        names.push(...page.items.map(({ metadata }) => metadata.name));
        next = page.next;
      } while (next);
      expect(names).toEqual(["w1", "w3", "w5", "w7"]);
    });
  });

  describe("watching (R9, R11)", () => {
    test("a watch tells what was written after the list: all of it, once, in order, each as it was then", async () => {
      const { store } = the();
      const made = await the().widget("a", { size: 1 });
      const revision = await the().revision();
      const second = await store.update(widgets, { ...made, spec: { size: 2 } });
      const b = await the().widget("b");
      const watch = the().follow({ after: revision });
      const third = await store.updateStatus(widgets, { ...second, status: { seen: 3 } });
      await store.delete(widgets, the().key("a"));
      await watch.upTo(4);
      expect(watch.story).toEqual(["Modified a", "Added b", "Modified a", "Deleted a"]);
      expect(watch.events[0]!.object).toEqual(second);
      expect(watch.events[1]!.object).toEqual(b);
      expect(watch.events[2]!.object).toEqual(third);
      expect(watch.events[3]!.object).toMatchObject({
        metadata: { uid: made.metadata.uid },
        status: { seen: 3 },
      });
    });

    test("a watch goes on from any event it told", async () => {
      const revision = await the().revision();
      for (let i = 0; i < 6; i++) await the().widget(`w${i}`);
      const watch = the().follow({ after: revision });
      const events = [...(await watch.upTo(6))];
      await watch.stop();
      for (const [index, event] of events.entries()) {
        if (index === events.length - 1) break;
        const rest = the().follow({ after: event.revision });
        await rest.upTo(events.length - index - 1);
        expect(rest.events).toEqual(events.slice(index + 1));
        await rest.stop();
      }
    });

    test("a watch from now tells nothing of the past", async () => {
      await the().widget("old");
      const watch = the().follow({ after: "" });
      await the().eventually("the watch from now begins", async () => {
        await the().widget(unique("new"));
        return watch.events.length > 0;
      });
      expect(watch.story.every((each) => each.startsWith("Added new-"))).toBe(true);
    });

    test("a watch keeps to its kind and namespace", async () => {
      const { store, namespace } = the();
      const elsewhere = unique("trial");
      await the().makeNamespace(elsewhere);
      const watch = the().follow({ after: await the().revision() });
      await store.create(configMaps, { metadata: { name: "not-this", namespace }, data: {} });
      await the().widget("nor-this", {}, { namespace: elsewhere });
      await the().widget("this");
      await watch.upTo(1);
      expect(watch.story).toEqual(["Added this"]);
    });

    test("an object comes and goes for those who watch its labels", async () => {
      const { store } = the();
      const watch = the().follow({
        after: await the().revision(),
        labels: [{ key: "app", op: "=", value: "x" }],
      });
      await the().widget("other", {}, { labels: { app: "y" } });
      let object = await the().widget("a");
      const relabel = async (labels: Record<string, string>) => {
        object = await store.update(widgets, { ...object, metadata: { ...object.metadata, labels } });
      };
      await relabel({ app: "x" });
      await relabel({ app: "x", more: "1" });
      await relabel({ app: "y" });
      await relabel({ app: "z" });
      await relabel({ app: "x" });
      await store.delete(widgets, the().key("a"));
      await watch.upTo(5);
      expect(watch.story).toEqual(["Added a", "Modified a", "Deleted a", "Added a", "Deleted a"]);
    });

    test("a cluster-scoped kind can be watched", async () => {
      const { store } = the();
      const name = unique("gadget");
      const { revision } = await store.list(gadgets);
      const watch = the().follow({ after: revision, kind: gadgets });
      await store.create(gadgets, { metadata: { name } });
      await store.delete(gadgets, { name });
      await the().eventually("both events", async () => watch.story.includes(`Deleted ${name}`));
      expect(watch.story.filter((each) => each.endsWith(name))).toEqual([`Added ${name}`, `Deleted ${name}`]);
    });

    test("deletion by finalizer is told as it happens", async () => {
      const { store } = the();
      await the().widget("a", {}, { finalizers: ["test.pcg.dev/hold"] });
      const watch = the().follow({ after: await the().revision() });
      const marked = (await store.delete(widgets, the().key("a")))!;
      await store.update(widgets, { ...marked, metadata: { ...marked.metadata, finalizers: [] } });
      await watch.upTo(2);
      expect(watch.story).toEqual(["Modified a", "Deleted a"]);
      expect(watch.events[0]!.object).toEqual(marked);
    });

    test("several watches each tell everything, and one that is slow misses nothing", async () => {
      const revision = await the().revision();
      const watchers = [1, 2, 3].map(() => the().follow({ after: revision }));
      const slow: string[] = [];
      const stop = new AbortController();
      const crawl = (async () => {
        const { store, namespace } = the();
        for await (const event of store.watch(widgets, { after: revision, namespace }, stop.signal)) {
          if (event.type === "Bookmark") continue;
          await new Promise((resolve) => setTimeout(resolve, 2));
          slow.push(`${event.type} ${event.object.metadata.name}`);
          if (slow.length === 100) return;
        }
      })();
      await Promise.all(Array.from({ length: 100 }, (_, i) => the().widget(`w${i}`)));
      for (const watch of watchers) await watch.upTo(100);
      await crawl;
      stop.abort();
      expect(watchers[0]!.story.toSorted()).toEqual(
        Array.from({ length: 100 }, (_, i) => `Added w${i}`).sort(),
      );
      expect(watchers[1]!.events).toEqual(watchers[0]!.events);
      expect(slow).toEqual(watchers[2]!.story);
    });

    test("a watch ends quietly when it is told to, before its first event and after", async () => {
      const idle = the().follow({ after: await the().revision() });
      const busy = the().follow({ after: await the().revision() });
      await the().widget("a");
      await busy.upTo(1);
      await idle.stop();
      await busy.stop();
      expect([idle.fault, busy.fault]).toEqual([undefined, undefined]);

      const stopped = AbortSignal.abort();
      const { store, namespace } = the();
      for await (const event of store.watch(widgets, { after: await the().revision(), namespace }, stopped)) {
        expect.fail(`told ${event.type} after the end`);
      }
    });
  });

  describe("forgetting (R10)", () => {
    test("a watch after a forgotten revision is Gone, and so is the next page of an old list", async ({
      skip,
    }) => {
      const { forget } = the().setup;
      if (!forget) return skip("this backend cannot be made to forget");
      const { store, namespace } = the();
      for (let i = 0; i < 3; i++) await the().widget(`w${i}`);
      const first = await store.list(widgets, { namespace, limit: 1 });
      await the().widget("later");
      await forget();
      const watch = the().follow({ after: first.revision });
      await watch.untilEnd();
      expect(watch.fault?.code).toBe("Gone");
      expect(await codeOf(store.list(widgets, { namespace, limit: 1, next: first.next! }))).toBe("Gone");

      const again = the().follow({ after: await the().revision() });
      await the().widget("latest");
      await again.upTo(1);
      expect(again.story).toEqual(["Added latest"]);
    });
  });
}
