import { describe, expect, test } from "vitest";
import type { Kind } from "../../resource/kind.ts";
import type { OwnerReference, Resource } from "../../resource/meta.ts";
import { ownerReference } from "../../resource/owner.ts";
import { configMaps, gadgets, namespaces, widgets, type Widget } from "./kinds.ts";
import { codeOf, unique, type Trial } from "./trial.ts";
import { release } from "./writes.ts";

/** R8: what goes with its owners, and with its namespace. */
export function collecting(the: () => Trial): void {
  const own = (name: string, ...owners: OwnerReference[]) =>
    the().widget(name, {}, { ownerReferences: owners });
  const owner = (object: Resource, kind: Kind = widgets, options = {}) =>
    ownerReference(kind, object, options);

  describe("owners (R8)", () => {
    test("what an owner owned goes with it, and what that owned, of whatever kind", async () => {
      const { store, namespace } = the();
      const parent = await the().widget("parent");
      const child = await own("child", owner(parent, widgets, { controller: true }));
      await store.create(configMaps, {
        metadata: { name: "grandchild", namespace, ownerReferences: [owner(child)] },
        data: {},
      });
      await the().widget("stranger");
      await store.delete(widgets, the().key("parent"));
      await the().eventuallyGone(widgets, "child");
      await the().eventuallyGone(configMaps, "grandchild");
      expect(await the().read("stranger")).toBeDefined();
    });

    test("a cluster-scoped owner takes what it owns in any namespace", async () => {
      const { store } = the();
      const name = unique("gadget");
      const gadget = await store.create(gadgets, { metadata: { name } });
      await own("child", owner(gadget, gadgets));
      await store.delete(gadgets, { name });
      await the().eventuallyGone(widgets, "child");
    });

    test("what has two owners stays until both are gone", async () => {
      const { store } = the();
      const one = await the().widget("one");
      const two = await the().widget("two");
      await own("child", owner(one), owner(two));
      await own("witness", owner(one));
      await store.delete(widgets, the().key("one"));
      await the().eventuallyGone(widgets, "witness");
      expect(await the().read("child")).toBeDefined();
      await store.delete(widgets, the().key("two"));
      await the().eventuallyGone(widgets, "child");
    });

    test("what is created for an owner that is gone goes", async () => {
      const { store } = the();
      const former = await the().widget("owner");
      await store.delete(widgets, the().key("owner"));
      await the().widget("owner"); // of the same name, but another
      await own("child", owner(former));
      await the().eventuallyGone(widgets, "child");
      expect(await the().read("owner")).toBeDefined();
    });

    test("an owner that still has finalizers keeps what it owns", async () => {
      const { store } = the();
      const parent = await the().widget("parent", {}, { finalizers: ["test.pcg.dev/hold"] });
      await own("child", owner(parent));
      await store.delete(widgets, the().key("parent"));
      await own("later", owner(parent));
      const other = await the().widget("other");
      await own("witness", owner(other));
      await store.delete(widgets, the().key("other"));
      await the().eventuallyGone(widgets, "witness");
      expect(await the().read("child")).toBeDefined();
      await release(the(), "parent");
      await the().eventuallyGone(widgets, "child");
      await the().eventuallyGone(widgets, "later");
    });

    test("what is owned and has finalizers is marked, and goes when they go", async () => {
      const parent = await the().widget("parent");
      await the().widget(
        "child",
        {},
        { ownerReferences: [owner(parent)], finalizers: ["test.pcg.dev/hold"] },
      );
      await the().store.delete(widgets, the().key("parent"));
      await the().eventually(
        "the child is marked",
        async () => (await the().read("child"))?.metadata.deletionTimestamp,
      );
      await release(the(), "child");
      expect(await the().read("child")).toBeUndefined();
    });

    test("orphaned dependants stay, without this owner", async () => {
      const { store } = the();
      const parent = await the().widget("parent");
      const other = await the().widget("other");
      await own("child", owner(parent), owner(other));
      await own("only-child", owner(parent));
      await store.delete(widgets, the().key("parent"), { propagation: "Orphan" });
      await the().eventuallyGone(widgets, "parent");
      expect((await the().read("child"))?.metadata.ownerReferences).toEqual([owner(other)]);
      expect((await the().read("only-child"))?.metadata.ownerReferences).toBeUndefined();
    });

    test("in the foreground the owner goes last", async () => {
      const { store } = the();
      const parent = await the().widget("parent");
      await the().widget(
        "child",
        {},
        {
          ownerReferences: [owner(parent, widgets, { blockOwnerDeletion: true })],
          finalizers: ["test.pcg.dev/hold"],
        },
      );
      const marked = await store.delete(widgets, the().key("parent"), { propagation: "Foreground" });
      expect(marked?.metadata.deletionTimestamp).toBeDefined();
      await the().eventually(
        "the child is marked",
        async () => (await the().read("child"))?.metadata.deletionTimestamp,
      );
      expect(await the().read("parent")).toBeDefined();
      await release(the(), "child");
      await the().eventuallyGone(widgets, "parent");
    });
  });

  describe("namespaces (R8)", () => {
    test("everything in a deleted namespace goes, then the namespace, and the rest of the world stays", async () => {
      const { store } = the();
      const name = unique("doomed");
      await the().makeNamespace(name);
      const inside = await the().widget("a", {}, { namespace: name });
      await store.create(configMaps, { metadata: { name: "b", namespace: name }, data: {} });
      await the().widget("held", {}, { namespace: name, finalizers: ["test.pcg.dev/hold"] });
      await the().widget("a");

      await store.delete(namespaces, { name });
      const marked = await the().eventually("what is held is marked", async () => {
        const held = await store.get(widgets, { name: "held", namespace: name });
        return held?.metadata.deletionTimestamp ? held : undefined;
      });
      expect(await store.get(namespaces, { name })).toMatchObject({ status: { phase: "Terminating" } });
      expect(await codeOf(the().widget("late", {}, { namespace: name }))).toBe("Forbidden");
      await store.update<Widget>(widgets, { ...marked, metadata: { ...marked.metadata, finalizers: [] } });

      await the().eventually("the namespace goes", async () => !(await store.get(namespaces, { name })));
      expect(await store.get(widgets, { name: "a", namespace: name })).toBeUndefined();
      expect(await store.get(configMaps, { name: "b", namespace: name })).toBeUndefined();
      expect((await the().read("a"))?.metadata.uid).not.toBe(inside.metadata.uid);
    });
  });
}
