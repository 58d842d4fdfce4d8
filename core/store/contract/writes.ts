import { describe, expect, test } from "vitest";
import type { Resource } from "../../resource/meta.ts";
import { modify } from "../helpers.ts";
import { configMaps, gadgets, namespaces, widgets, widgetsV2, type Widget } from "./kinds.ts";
import { codeOf, faultOf, unique, type Trial } from "./trial.ts";

const longAgo = "2001-02-03T04:05:06Z";

/** R1 to R7 and R13: what a write makes of an object. */
export function writes(the: () => Trial): void {
  describe("creating (R1)", () => {
    test("a created object is what was asked for, and bears what the store adds", async () => {
      const { store, namespace } = the();
      const made = await store.create(widgets, {
        metadata: { name: "a", namespace, labels: { app: "x" }, annotations: { "test.pcg.dev/why": "so" } },
        spec: { size: 3 },
      });
      expect(made).toMatchObject({
        apiVersion: "test.pcg.dev/v1",
        kind: "Widget",
        metadata: {
          name: "a",
          namespace,
          generation: 1,
          labels: { app: "x" },
          annotations: { "test.pcg.dev/why": "so" },
        },
        spec: { size: 3 },
      });
      expect(made.metadata.uid).toMatch(/\S/);
      expect(made.metadata.resourceVersion).toMatch(/\S/);
      expect(made.metadata.creationTimestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
      expect(await the().read("a")).toEqual(made);
    });

    test("what does not exist is undefined", async () => {
      expect(await the().read("nobody")).toBeUndefined();
      expect(await the().store.get(gadgets, { name: unique("nobody") })).toBeUndefined();
    });

    test("a name that is taken is AlreadyExists, and the object stays as it was", async () => {
      const made = await the().widget("a", { size: 1 });
      expect(await codeOf(the().widget("a", { size: 2 }))).toBe("AlreadyExists");
      expect(await the().read("a")).toEqual(made);
    });

    test("a name is taken even while its object is being deleted", async () => {
      await the().widget("a", {}, { finalizers: ["test.pcg.dev/hold"] });
      await the().store.delete(widgets, the().key("a"));
      expect(await codeOf(the().widget("a"))).toBe("AlreadyExists");
      await release(the(), "a");
    });

    test("of many who create the same name at once, one wins", async () => {
      const tries = Array.from({ length: 10 }, (_, size) => the().widget("a", { size: size + 1 }));
      const results = await Promise.allSettled(tries);
      const won = results.filter((each) => each.status === "fulfilled");
      expect(won).toHaveLength(1);
      expect(await the().read("a")).toEqual(won[0]!.value);
    });

    test("a new object of an old name has another uid", async () => {
      const old = await the().widget("a");
      await the().store.delete(widgets, the().key("a"));
      const young = await the().widget("a");
      expect(young.metadata.uid).not.toBe(old.metadata.uid);
    });

    test("the same name in another namespace, or of another kind, is another object", async () => {
      const { store, namespace } = the();
      const elsewhere = unique("trial");
      await the().makeNamespace(elsewhere);
      await the().widget("a", { size: 1 });
      await the().widget("a", { size: 2 }, { namespace: elsewhere });
      await store.create(configMaps, { metadata: { name: "a", namespace }, data: { k: "v" } });
      expect((await the().read("a"))?.spec?.size).toBe(1);
      expect((await store.get(widgets, { name: "a", namespace: elsewhere }))?.spec?.size).toBe(2);
      expect((await store.get(configMaps, the().key("a")))?.data).toEqual({ k: "v" });
    });

    test("generateName makes names of its own", async () => {
      const { store, namespace } = the();
      const draft = { metadata: { generateName: "some-", namespace }, spec: {} };
      const one = await store.create(widgets, draft);
      const two = await store.create(widgets, draft);
      expect(one.metadata.name).toMatch(/^some-[a-z0-9]{5}$/);
      expect(two.metadata.name).toMatch(/^some-[a-z0-9]{5}$/);
      expect(two.metadata.name).not.toBe(one.metadata.name);
    });

    test("cluster-scoped objects have no namespace", async () => {
      const name = unique("gadget");
      const made = await the().store.create(gadgets, { metadata: { name }, spec: { size: 2 } });
      the().after(() => the().store.delete(gadgets, { name }));
      expect(made.metadata.namespace).toBeUndefined();
      expect(await the().store.get(gadgets, { name })).toEqual(made);
    });

    test.each(["Capital", "under_score", "-dash", "a/b", "a".repeat(254)])(
      "the name %s is Invalid",
      async (name) => {
        expect(await codeOf(the().widget(name))).toBe("Invalid");
      },
    );
  });

  describe("who was first (R2)", () => {
    test("a write with a stale revision is a Conflict and changes nothing", async () => {
      const { store } = the();
      const first = await the().widget("a", { size: 1 });
      const second = await store.update(widgets, { ...first, spec: { size: 2 } });
      expect(await codeOf(store.update(widgets, { ...first, spec: { size: 3 } }))).toBe("Conflict");
      expect(await codeOf(store.updateStatus(widgets, { ...first, status: { seen: 1 } }))).toBe("Conflict");
      expect(await the().read("a")).toEqual(second);
    });

    test("a write of status makes an older reading of the spec stale, and the other way round", async () => {
      const { store } = the();
      const first = await the().widget("a");
      const second = await store.updateStatus(widgets, { ...first, status: { seen: 1 } });
      expect(await codeOf(store.update(widgets, { ...first, spec: { size: 3 } }))).toBe("Conflict");
      await store.update(widgets, { ...second, spec: { size: 3 } });
      expect(await codeOf(store.updateStatus(widgets, { ...second, status: { seen: 2 } }))).toBe("Conflict");
    });

    test("without a revision a write goes through, whatever was written since", async () => {
      const { store } = the();
      const first = await the().widget("a", { size: 1 });
      await store.update(widgets, { ...first, spec: { size: 2 } });
      await store.update(widgets, { ...first, spec: { size: 3 }, metadata: unversioned(first) });
      await store.updateStatus(widgets, { ...first, status: { seen: 4 }, metadata: unversioned(first) });
      expect(await the().read("a")).toMatchObject({ spec: { size: 3 }, status: { seen: 4 } });
    });

    test("a write meant for a former object of the name is a Conflict, even without a revision", async () => {
      const { store } = the();
      const former = await the().widget("a", { size: 1 });
      await store.delete(widgets, the().key("a"));
      const made = await the().widget("a", { size: 2 });
      expect(await codeOf(store.update(widgets, { ...former, metadata: unversioned(former) }))).toBe(
        "Conflict",
      );
      expect(await the().read("a")).toEqual(made);
    });

    test("writing to what is gone is NotFound", async () => {
      const { store } = the();
      const gone = await the().widget("a");
      await store.delete(widgets, the().key("a"));
      expect(await codeOf(store.update(widgets, gone))).toBe("NotFound");
      expect(await codeOf(store.updateStatus(widgets, { ...gone, status: { seen: 1 } }))).toBe("NotFound");
      expect(await codeOf(store.delete(widgets, the().key("a")))).toBe("NotFound");
    });

    test("no step of concurrent counters is lost", async () => {
      const { store } = the();
      await the().widget("a", { size: 1 });
      const step = (object: Widget) => void (object.spec = { size: (object.spec?.size ?? 0) + 1 });
      await Promise.all(
        Array.from({ length: 4 }, async () => {
          for (let i = 0; i < 5; i++) await modify(store, widgets, the().key("a"), step);
        }),
      );
      expect((await the().read("a"))?.spec?.size).toBe(21);
    });
  });

  describe("status apart (R3)", () => {
    test("create and update leave status alone", async () => {
      const { store, namespace } = the();
      const made = await store.create(widgets, {
        metadata: { name: "a", namespace },
        spec: {},
        status: { phase: "Ready" },
      });
      expect(made.status?.phase).toBeUndefined();
      const seen = await store.updateStatus(widgets, { ...made, status: { phase: "Ready" } });
      const changed = await store.update(widgets, { ...seen, spec: { size: 2 }, status: { phase: "Lost" } });
      expect(changed).toMatchObject({ spec: { size: 2 }, status: { phase: "Ready" } });
    });

    test("updateStatus leaves everything else alone", async () => {
      const { store } = the();
      const made = await the().widget("a", { size: 1 }, { labels: { app: "x" } });
      const seen = await store.updateStatus(widgets, {
        ...made,
        metadata: { ...made.metadata, labels: { app: "y" } },
        spec: { size: 2 },
        status: { phase: "Ready", seen: 1 },
      });
      expect(seen.status).toEqual({ phase: "Ready", seen: 1 });
      expect(seen.spec).toEqual({ size: 1 });
      expect(seen.metadata.labels).toEqual({ app: "x" });
      expect(await the().read("a")).toEqual(seen);
    });

    test("a kind without status apart is updated whole", async () => {
      const { store, namespace } = the();
      const made = await store.create(configMaps, { metadata: { name: "a", namespace }, data: { k: "1" } });
      const next = await store.update(configMaps, { ...made, data: { k: "2" } });
      expect(next.data).toEqual({ k: "2" });
      expect(next.metadata.resourceVersion).not.toBe(made.metadata.resourceVersion);
    });
  });

  describe("generation (R4) and writes that change nothing (R5)", () => {
    test("generation counts changes of the spec, and of nothing else", async () => {
      const { store } = the();
      const made = await the().widget("a", { size: 1 });
      expect(made.metadata.generation).toBe(1);
      const seen = await store.updateStatus(widgets, { ...made, status: { seen: 1 } });
      expect(seen.metadata.generation).toBe(1);
      const labelled = await store.update(widgets, {
        ...seen,
        metadata: { ...seen.metadata, labels: { app: "x" }, finalizers: ["test.pcg.dev/hold"] },
      });
      expect(labelled.metadata.generation).toBe(1);
      const changed = await store.update(widgets, { ...labelled, spec: { size: 2 } });
      expect(changed.metadata.generation).toBe(2);
      await release(the(), "a");
    });

    test("a write that changes nothing keeps the revision and tells nobody", async () => {
      const { store } = the();
      const made = await the().widget("a", { size: 1 });
      const watch = the().follow({ after: await the().revision() });
      const again = await store.update(widgets, { ...made, spec: { size: 1 } });
      expect(again).toEqual(made);
      const seen = await store.updateStatus(widgets, { ...made, status: { seen: 1 } });
      expect(await store.updateStatus(widgets, { ...seen, status: { seen: 1 } })).toEqual(seen);
      await the().widget("z");
      await watch.upTo(2);
      expect(watch.story).toEqual(["Modified a", "Added z"]);
    });
  });

  describe("deleting (R6)", () => {
    test("an object without finalizers goes at once", async () => {
      await the().widget("a");
      expect(await the().store.delete(widgets, the().key("a"))).toBeUndefined();
      expect(await the().read("a")).toBeUndefined();
    });

    test("an object with finalizers stays, marked once, until the last is gone", async () => {
      const { store } = the();
      const made = await the().widget("a", {}, { finalizers: ["test.pcg.dev/one", "test.pcg.dev/two"] });
      const marked = await store.delete(widgets, the().key("a"));
      expect(marked?.metadata.deletionTimestamp).toMatch(/^\d{4}-/);
      expect(marked?.metadata.uid).toBe(made.metadata.uid);
      const again = await store.delete(widgets, the().key("a"));
      expect(again?.metadata.deletionTimestamp).toBe(marked?.metadata.deletionTimestamp);

      const half = await store.update(widgets, finalizing(again!, ["test.pcg.dev/two"]));
      expect(await the().read("a")).toEqual(half);
      await store.update(widgets, finalizing(half, []));
      expect(await the().read("a")).toBeUndefined();
    });

    test("a marked object can still be changed, but gets no new finalizer", async () => {
      const { store } = the();
      await the().widget("a", {}, { finalizers: ["test.pcg.dev/hold"] });
      const marked = (await store.delete(widgets, the().key("a")))!;
      const seen = await store.updateStatus(widgets, { ...marked, status: { phase: "Leaving" } });
      expect(seen.status?.phase).toBe("Leaving");
      const more = finalizing(seen, ["test.pcg.dev/hold", "test.pcg.dev/more"]);
      expect(await codeOf(store.update(widgets, more))).toBe("Invalid");
      await release(the(), "a");
      expect(await the().read("a")).toBeUndefined();
    });

    test("a mark cannot be taken back, nor set by a write", async () => {
      const { store } = the();
      const made = await the().widget("a", {}, { finalizers: ["test.pcg.dev/hold"] });
      const { deletionTimestamp: _, ...unmarked } = (await store.delete(widgets, the().key("a")))!.metadata;
      const written = await store.update(widgets, { ...made, metadata: unmarked, spec: { size: 2 } });
      expect(written.metadata.deletionTimestamp).toBeDefined();
      const other = await the().widget("b", {}, { deletionTimestamp: longAgo });
      expect(other.metadata.deletionTimestamp).toBeUndefined();
      await release(the(), "a");
    });

    test("a deletion meant for another object or another revision is a Conflict", async () => {
      const { store } = the();
      const made = await the().widget("a");
      const { uid, resourceVersion } = made.metadata;
      const changed = await store.update(widgets, { ...made, spec: { size: 2 } });
      const other = "00000000-0000-0000-0000-000000000000";
      expect(await codeOf(store.delete(widgets, the().key("a"), { uid: other }))).toBe("Conflict");
      expect(await codeOf(store.delete(widgets, the().key("a"), { uid, resourceVersion }))).toBe("Conflict");
      expect(await the().read("a")).toEqual(changed);
      await store.delete(widgets, the().key("a"), { uid, resourceVersion: changed.metadata.resourceVersion });
      expect(await the().read("a")).toBeUndefined();
    });
  });

  describe("what is the store's own (R7)", () => {
    test("uid, times, revision and generation of a draft are not taken", async () => {
      const made = await the().widget(
        "a",
        {},
        {
          uid: "00000000-0000-0000-0000-000000000001",
          resourceVersion: "5",
          generation: 7,
          creationTimestamp: longAgo,
        },
      );
      expect(made.metadata.uid).not.toBe("00000000-0000-0000-0000-000000000001");
      expect(made.metadata.generation).toBe(1);
      expect(made.metadata.creationTimestamp).not.toBe(longAgo);
    });

    test("nor are they taken from an update", async () => {
      const made = await the().widget("a", { size: 1 });
      const next = await the().store.update(widgets, {
        ...made,
        metadata: { ...made.metadata, generation: 7, creationTimestamp: longAgo, deletionTimestamp: longAgo },
        spec: { size: 2 },
      });
      expect(next.metadata).toMatchObject({
        generation: 2,
        creationTimestamp: made.metadata.creationTimestamp,
      });
      expect(next.metadata.deletionTimestamp).toBeUndefined();
    });

    test("labels, annotations and finalizers are the caller's: what is left out goes", async () => {
      const made = await the().widget("a", {}, { labels: { a: "1", b: "2" }, annotations: { c: "3" } });
      const { annotations: _, ...metadata } = made.metadata;
      const next = await the().store.update(widgets, {
        ...made,
        metadata: { ...metadata, labels: { b: "2" } },
      });
      expect(next.metadata.labels).toEqual({ b: "2" });
      expect(next.metadata.annotations).toBeUndefined();
    });

    test("objects handed in and out are the caller's to change", async () => {
      const { store, namespace } = the();
      const draft = { metadata: { name: "a", namespace, labels: { app: "x" } }, spec: { note: "as it was" } };
      const made = await store.create(widgets, draft);
      draft.spec.note = "changed behind its back";
      made.metadata.labels = { app: "changed" };
      const listed = (await store.list(widgets, { namespace })).items[0]!;
      listed.spec!.note = "changed as well";
      expect(await the().read("a")).toMatchObject({
        metadata: { labels: { app: "x" } },
        spec: { note: "as it was" },
      });
    });

    test("kinds of one resource in two versions are the same objects", async () => {
      const { store } = the();
      const made = await the().widget("a", { size: 5 });
      const other = (await store.get(widgetsV2, the().key("a")))!;
      expect(other).toEqual({ ...made, apiVersion: "test.pcg.dev/v2" });
      await store.update(widgetsV2, { ...other, spec: { size: 6 } });
      expect(await the().read("a")).toMatchObject({ apiVersion: "test.pcg.dev/v1", spec: { size: 6 } });
    });
  });

  describe("defaults and rules (R13)", () => {
    test("defaults are filled in", async () => {
      const { store, namespace } = the();
      expect((await the().widget("a", { note: "x" })).spec).toEqual({ size: 1, note: "x" });
      expect((await store.create(widgets, { metadata: { name: "b", namespace } })).spec).toEqual({ size: 1 });
    });

    test("every mistake is told at once, on create and on update, and nothing is written", async () => {
      const wrong = { size: 1000, color: "mauve" };
      const fault = await faultOf(the().widget("a", wrong));
      expect(fault.code).toBe("Invalid");
      expect(fault.problems.map(({ field }) => field).sort()).toEqual(["spec.color", "spec.size"]);
      expect(await the().read("a")).toBeUndefined();

      const made = await the().widget("a");
      const second = await faultOf(the().store.update(widgets, { ...made, spec: wrong }));
      expect(second.code).toBe("Invalid");
      expect(second.problems).toHaveLength(2);
      expect(await the().read("a")).toEqual(made);
    });

    test("a label that no API server would take is Invalid", async () => {
      expect(await codeOf(the().widget("a", {}, { labels: { app: "no spaces, please" } }))).toBe("Invalid");
      expect(await codeOf(the().widget("b", {}, { labels: { "a b": "x" } }))).toBe("Invalid");
    });

    test("a Namespace is Active from the start", async () => {
      expect(await the().store.get(namespaces, { name: the().namespace })).toMatchObject({
        status: { phase: "Active" },
      });
    });
  });
}

function unversioned(object: Resource): Resource["metadata"] {
  return { ...object.metadata, resourceVersion: "" };
}

function finalizing(object: Widget, finalizers: string[]): Widget {
  return { ...object, metadata: { ...object.metadata, finalizers } };
}

/** Takes all finalizers from a Widget. */
export async function release(trial: Trial, name: string): Promise<void> {
  await modify(trial.store, widgets, trial.key(name), (object) => finalizing(object, []));
}
