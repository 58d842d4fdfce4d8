import { describe, expect, test } from "vitest";
import type { OwnerReference, Resource } from "../resource/meta.ts";
import { chore, OwnerGraph } from "./owner-graph.ts";
import type { Row } from "./rows.ts";

let revisions = 1;

function row(
  name: string,
  metadata: Partial<Resource["metadata"]> = {},
  resource = "widgets.test.pcg.dev",
): Row {
  const revision = ++revisions;
  const namespace = "namespace" in metadata ? (metadata.namespace ?? "") : "n";
  const object = {
    apiVersion: "test.pcg.dev/v1",
    kind: "Widget",
    metadata: {
      name,
      namespace,
      uid: `uid-${name}`,
      resourceVersion: String(revision),
      generation: 1,
      creationTimestamp: "2026-01-01T00:00:00Z",
      ...metadata,
    },
  };
  return { resource, namespace, name, revision, object };
}

function owned(by: string, options: Partial<OwnerReference> = {}): OwnerReference {
  return { apiVersion: "test.pcg.dev/v1", kind: "Widget", name: by, uid: `uid-${by}`, ...options };
}

function graphOf(...rows: Row[]): OwnerGraph {
  const graph = new OwnerGraph();
  for (const each of rows) graph.apply("Added", each);
  return graph;
}

const leaving = { deletionTimestamp: "2026-01-01T00:00:00Z" };
const waiting = { ...leaving, finalizers: ["foregroundDeletion"] };

describe("what to do about an object", () => {
  const cases: [string, Row, Row[], object][] = [
    ["without owners it is let be", row("a"), [], { do: "nothing" }],
    ["with its owner there, too", row("a", { ownerReferences: [owned("o")] }), [row("o")], { do: "nothing" }],
    [
      "without its owner it goes",
      row("a", { ownerReferences: [owned("o")] }),
      [],
      { do: "delete", propagation: "Background" },
    ],
    [
      "with one owner left it forgets the other",
      row("a", { ownerReferences: [owned("o"), owned("p")] }),
      [row("p")],
      { do: "disown", keep: ["uid-p"] },
    ],
    [
      "an owner in another namespace is none",
      row("a", { ownerReferences: [owned("o")] }),
      [row("o", { namespace: "elsewhere" })],
      { do: "delete", propagation: "Background" },
    ],
    [
      "a cluster-scoped owner is one",
      row("a", { ownerReferences: [owned("o")] }),
      [row("o", { namespace: "" })],
      { do: "nothing" },
    ],
    [
      "an owner that is being deleted is still one",
      row("a", { ownerReferences: [owned("o")] }),
      [row("o", { ...leaving, finalizers: ["x/y"] })],
      { do: "nothing" },
    ],
    [
      "an owner that waits for it makes it go",
      row("a", { ownerReferences: [owned("o")] }),
      [row("o", waiting)],
      { do: "delete", propagation: "Background" },
    ],
    [
      "and its own dependants before it",
      row("a", { ownerReferences: [owned("o")] }),
      [row("o", waiting), row("b", { ownerReferences: [owned("a")] })],
      { do: "delete", propagation: "Foreground" },
    ],
    [
      "an owner waits while one that blocks it is there",
      row("o", waiting),
      [row("a", { ownerReferences: [owned("o", { blockOwnerDeletion: true })] })],
      { do: "nothing" },
    ],
    [
      "but for no other",
      row("o", waiting),
      [row("a", { ownerReferences: [owned("o")] })],
      { do: "release", finalizer: "foregroundDeletion" },
    ],
    [
      "an orphaning owner lets its dependants go free",
      row("o", { ...leaving, finalizers: ["orphan"] }),
      [row("a", { ownerReferences: [owned("o")] })],
      { do: "orphan", dependents: [{ resource: "widgets.test.pcg.dev", namespace: "n", name: "a" }] },
    ],
  ];
  test.each(cases)("%s", (_, it, others, expected) => {
    expect(chore(it, graphOf(it, ...others))).toEqual(expected);
  });

  test("a namespace that is leaving is emptied", () => {
    const namespace = row("n", { namespace: "", ...leaving }, "namespaces");
    const held = {
      ...namespace,
      object: { ...namespace.object, kind: "Namespace", spec: { finalizers: ["kubernetes"] } },
    };
    const inside = row("a");
    expect(chore(held, graphOf(held, inside, row("b", { namespace: "elsewhere" })))).toEqual({
      do: "empty",
      contents: [{ resource: inside.resource, namespace: "n", name: "a" }],
    });
    const leavingToo = row("c", { ...leaving, finalizers: ["x/y"] });
    expect(chore(held, graphOf(held, leavingToo))).toEqual({ do: "empty", contents: [] });
    expect(chore(held, graphOf(held))).toEqual({ do: "close" });
  });
});

describe("where to look after an event", () => {
  const names = (graph: OwnerGraph, type: "Added" | "Deleted", event: Row) => {
    graph.apply(type, event);
    return graph
      .touched(type, event)
      .map(({ name }) => name)
      .sort();
  };

  test("nowhere, for what has no owners and is not leaving", () => {
    expect(names(graphOf(row("b")), "Added", row("a"))).toEqual([]);
  });

  test("at itself, for what has owners", () => {
    expect(names(graphOf(), "Added", row("a", { ownerReferences: [owned("o")] }))).toEqual(["a"]);
  });

  test("at its dependants, when it is gone", () => {
    const it = row("o");
    const graph = graphOf(
      it,
      row("a", { ownerReferences: [owned("o")] }),
      row("b", { ownerReferences: [owned("x")] }),
    );
    expect(names(graph, "Deleted", it)).toEqual(["a"]);
  });

  test("at the owner that waits for it, and at its namespace if that is leaving", () => {
    const it = row("a", { ownerReferences: [owned("o")] });
    const graph = graphOf(it, row("o", waiting), row("n", { namespace: "", ...leaving }, "namespaces"));
    expect(names(graph, "Deleted", it)).toEqual(["n", "o"]);
  });

  test("an object that is replaced by another of its name is forgotten", () => {
    const graph = graphOf(row("o", { uid: "first" }));
    graph.apply("Added", row("o", { uid: "second" }));
    expect(graph.owner(owned("o", { uid: "first" }), "n")).toBeUndefined();
    expect(graph.owner(owned("o", { uid: "second" }), "n")).toBeDefined();
  });
});
