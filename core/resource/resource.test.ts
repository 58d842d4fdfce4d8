import { describe, expect, test } from "vitest";
import { getCondition, isTrue, setCondition, type Condition } from "./condition.ts";
import { copyJson, sameJson } from "./json.ts";
import { apiVersionOf, defineKind, groupResource, parseApiVersion } from "./kind.ts";
import { hasFinalizer, isDeleting, keyOf, keyText, parseKey, type Resource } from "./meta.ts";
import { isDnsLabel, isDnsSubdomain, isLabelValue, isQualifiedName, metaProblems } from "./names.ts";
import { isOwnedBy, ownerOf, ownerReference } from "./owner.ts";
import { formatSelector, matches, matchLabels, type LabelSelector } from "./selector.ts";

function object(metadata: Partial<Resource["metadata"]> = {}): Resource {
  return {
    apiVersion: "test.pcg.dev/v1",
    kind: "Widget",
    metadata: {
      name: "a",
      namespace: "n",
      uid: "u1",
      resourceVersion: "1",
      generation: 1,
      creationTimestamp: "2026-01-01T00:00:00Z",
      ...metadata,
    },
  };
}

const widgets = defineKind({ group: "test.pcg.dev", version: "v1", kind: "Widget", plural: "widgets" });
const secrets = defineKind({ group: "", version: "v1", kind: "Secret", plural: "secrets", hasStatus: false });

describe("kinds", () => {
  test("have Kubernetes' usual defaults, and names for every use", () => {
    expect(widgets).toMatchObject({ singular: "widget", namespaced: true, hasStatus: true, shortNames: [] });
    expect([apiVersionOf(widgets), groupResource(widgets)]).toEqual([
      "test.pcg.dev/v1",
      "widgets.test.pcg.dev",
    ]);
    expect([apiVersionOf(secrets), groupResource(secrets)]).toEqual(["v1", "secrets"]);
    expect(parseApiVersion("test.pcg.dev/v1")).toEqual({ group: "test.pcg.dev", version: "v1" });
    expect(parseApiVersion("v1")).toEqual({ group: "", version: "v1" });
  });
});

describe("keys", () => {
  test.each([
    ["n/a", { namespace: "n", name: "a" }],
    ["a", { name: "a" }],
  ])("%s is read and written", (text, key) => {
    expect(parseKey(text)).toEqual(key);
    expect(keyText(key)).toBe(text);
  });

  test("of an object, with or without a namespace", () => {
    expect(keyOf(object())).toEqual({ namespace: "n", name: "a" });
    expect(keyOf({ metadata: { name: "a" } })).toEqual({ name: "a" });
  });

  test("marks and finalizers are seen", () => {
    expect(isDeleting(object())).toBe(false);
    expect(isDeleting(object({ deletionTimestamp: "2026-01-01T00:00:00Z" }))).toBe(true);
    expect(hasFinalizer(object({ finalizers: ["a/b"] }), "a/b")).toBe(true);
    expect(hasFinalizer(object(), "a/b")).toBe(false);
  });
});

describe("conditions", () => {
  const draft = { type: "Ready", status: "True", reason: "Done", message: "" } as const;
  const old: Condition[] = [
    { ...draft, status: "False", reason: "Waiting", lastTransitionTime: "t0" },
    { type: "Other", status: "True", reason: "R", message: "m", lastTransitionTime: "t0" },
  ];

  test("a new type goes to the end, a known one is replaced where it is", () => {
    expect(setCondition(undefined, draft, "t1")).toEqual([{ ...draft, lastTransitionTime: "t1" }]);
    expect(setCondition(old, draft, "t1").map(({ type }) => type)).toEqual(["Ready", "Other"]);
    expect(old[0]?.status).toBe("False");
  });

  test("the transition time moves with the status only", () => {
    expect(setCondition(old, draft, "t1")[0]?.lastTransitionTime).toBe("t1");
    const reworded = { ...draft, status: "False", reason: "StillWaiting" } as const;
    expect(setCondition(old, reworded, "t1")[0]).toEqual({ ...reworded, lastTransitionTime: "t0" });
  });

  test("are found, and only True is true", () => {
    expect(getCondition(old, "Other")?.reason).toBe("R");
    expect([isTrue(old, "Other"), isTrue(old, "Ready"), isTrue(undefined, "Ready")]).toEqual([
      true,
      false,
      false,
    ]);
  });
});

describe("owners", () => {
  const owner = object({ uid: "u9", name: "owner" });
  const owned = object({ ownerReferences: [ownerReference(widgets, owner, { controller: true })] });

  test("a reference says who, and is found again in any version of the kind", () => {
    expect(owned.metadata.ownerReferences).toEqual([
      { apiVersion: "test.pcg.dev/v1", kind: "Widget", name: "owner", uid: "u9", controller: true },
    ]);
    expect(ownerOf(owned, { group: "test.pcg.dev", kind: "Widget" })?.uid).toBe("u9");
    expect(ownerOf(owned, { group: "other.dev", kind: "Widget" })).toBeUndefined();
    expect(ownerOf(object(), { group: "test.pcg.dev", kind: "Widget" })).toBeUndefined();
  });

  test("it is the uid that counts", () => {
    expect(isOwnedBy(owned, owner)).toBe(true);
    expect(isOwnedBy(owned, object({ uid: "u10", name: "owner" }))).toBe(false);
  });
});

describe("selectors", () => {
  const labels = { app: "x", tier: "web" };
  const cases: [string, LabelSelector, boolean][] = [
    ["", [], true],
    ["app=x", [{ key: "app", op: "=", value: "x" }], true],
    ["app=y", [{ key: "app", op: "=", value: "y" }], false],
    ["app!=y", [{ key: "app", op: "!=", value: "y" }], true],
    ["none!=y", [{ key: "none", op: "!=", value: "y" }], true],
    ["app in (x,y)", [{ key: "app", op: "in", values: ["x", "y"] }], true],
    ["none in (x)", [{ key: "none", op: "in", values: ["x"] }], false],
    ["app notin (x)", [{ key: "app", op: "notin", values: ["x"] }], false],
    ["none notin (x)", [{ key: "none", op: "notin", values: ["x"] }], true],
    ["tier", [{ key: "tier", op: "exists" }], true],
    ["!tier", [{ key: "tier", op: "!exists" }], false],
    [
      "app=x,!tier",
      [
        { key: "app", op: "=", value: "x" },
        { key: "tier", op: "!exists" },
      ],
      false,
    ],
  ];
  test.each(cases)("%s", (text, selector, expected) => {
    expect(matches(selector, labels)).toBe(expected);
    expect(formatSelector(selector)).toBe(text);
  });

  test("labels named like members of every object are not taken for labels", () => {
    expect(matches([{ key: "constructor", op: "exists" }], {})).toBe(false);
  });

  test("matchLabels wants them all", () => {
    expect(matches(matchLabels({ app: "x", tier: "web" }), labels)).toBe(true);
    expect(matches(matchLabels({ app: "x", tier: "db" }), labels)).toBe(false);
  });
});

describe("names", () => {
  const long = "a".repeat(64);
  const cases: [(text: string) => boolean, string[], string[]][] = [
    [isDnsLabel, ["a", "a-1", "1"], ["", "A", "-a", "a-", "a.b", long]],
    [isDnsSubdomain, ["a", "a.b-c.d", long], ["", "a..b", ".a", "a.", "a_b", "a".repeat(254)]],
    [
      isQualifiedName,
      ["a", "A_b.c", "x.dev/a", "cluster.x-k8s.io/name"],
      ["", "x.dev/", "/a", "X.dev/a", "a b", long],
    ],
    [isLabelValue, ["", "x", "A.b_c-1"], ["-a", "a b", long]],
  ];
  test.each(cases)("%o", (fits, good, bad) => {
    expect(good.filter((text) => !fits(text))).toEqual([]);
    expect(bad.filter((text) => fits(text))).toEqual([]);
  });

  test("every mistake in metadata is told with its place", () => {
    const owner = { apiVersion: "v1", kind: "X", name: "x", uid: "", controller: true };
    const problems = metaProblems("", {
      name: "A",
      namespace: "n.n",
      labels: { "a b": "x", ok: "not ok" },
      annotations: { "": "x" },
      finalizers: ["a b"],
      ownerReferences: [owner, { ...owner, uid: "u" }],
    });
    expect(problems.map(({ field }) => field)).toEqual([
      "metadata.name",
      "metadata.namespace",
      "metadata.labels.a b",
      "metadata.labels.ok",
      "metadata.annotations.",
      "metadata.finalizers",
      "metadata.ownerReferences[0].uid",
      "metadata.ownerReferences",
    ]);
    expect(metaProblems("", { name: "a.b" })).toEqual([]);
  });

  test("only the names of roles may hold colons", () => {
    expect(metaProblems("rbac.authorization.k8s.io", { name: "system:node" })).toEqual([]);
    expect(metaProblems("", { name: "system:node" })).toHaveLength(1);
    expect(metaProblems("rbac.authorization.k8s.io", { name: "a/b" })).toHaveLength(1);
  });
});

describe("JSON", () => {
  test("a copy shares nothing, and leaves out what JSON leaves out", () => {
    const value = { a: [{ b: 1 }, undefined], c: undefined, d: new Date(0), e: null };
    const copy = copyJson(value);
    expect(copy).toEqual(JSON.parse(JSON.stringify(value)));
    expect(copy.a[0]).not.toBe(value.a[0]);
  });

  test("a member named __proto__ does no harm", () => {
    const copy = copyJson(JSON.parse('{"__proto__": {"polluted": true}, "a": 1}') as object);
    expect(copy).toEqual({ a: 1 });
    expect((copy as { polluted?: boolean }).polluted).toBeUndefined();
  });

  test("the order of members does not count, that of items does", () => {
    expect(sameJson({ a: 1, b: [1, 2] }, { b: [1, 2], a: 1 })).toBe(true);
    expect(sameJson([1, 2], [2, 1])).toBe(false);
  });
});
