import { describe, expect, it } from "vitest";
import type { Resource } from "../../resource/meta.ts";
import { applyPatch, type Applying } from "./apply.ts";

const schema = {
  properties: {
    spec: {
      properties: {
        nics: {
          "x-kubernetes-list-type": "map",
          "x-kubernetes-list-map-keys": ["name"],
          items: { properties: { name: {}, ip: {}, mtu: {} } },
        },
        tags: { "x-kubernetes-list-type": "set", items: {} },
        ordered: { items: {} },
        whole: { "x-kubernetes-map-type": "atomic", properties: { a: {}, b: {} } },
      },
    },
  },
};

function apply(
  stored: Resource | undefined,
  manager: string,
  spec: unknown,
  more: Partial<Applying> = {},
): Resource {
  const patch = { apiVersion: "example.dev/v1", kind: "Widget", metadata: { name: "a" }, spec };
  return applyPatch(stored, patch, { manager, force: false, now: "2026-01-01T00:00:00Z", schema, ...more });
}

const updated = (spec: unknown): Resource =>
  ({
    apiVersion: "example.dev/v1",
    kind: "Widget",
    metadata: { name: "a", labels: { kept: "yes" } },
    spec,
  }) as never;

describe("server-side apply", () => {
  it("a field that its manager leaves out goes; what others wrote stays", () => {
    const first = apply(updated({ other: 1 }), "m", { size: 1, color: "red" });
    const second = apply(first, "m", { size: 2 });
    expect(second.spec).toEqual({ other: 1, size: 2 });
    expect(second.metadata.labels).toEqual({ kept: "yes" });
  });

  it("a field that two applied stays until both leave it out", () => {
    const both = apply(apply(undefined, "a", { size: 1 }), "b", { size: 1 });
    const one = apply(both, "a", { color: "red" });
    expect(one.spec).toEqual({ size: 1, color: "red" });
    expect(apply(one, "b", {}).spec).toEqual({ color: "red" });
  });

  it("items of a keyed list merge by key, of a set by value, of other lists not at all", () => {
    const stored = updated({ nics: [{ name: "a", ip: "1" }], tags: ["x"], ordered: [1, 2] });
    const next = apply(stored, "m", {
      nics: [
        { name: "b", mtu: 9 },
        { name: "a", mtu: 5 },
      ],
      tags: ["y", "x"],
      ordered: [3],
      whole: { b: 2 },
    });
    expect(next.spec).toEqual({
      nics: [
        { name: "a", ip: "1", mtu: 5 },
        { name: "b", mtu: 9 },
      ],
      tags: ["x", "y"],
      ordered: [3],
      whole: { b: 2 },
    });
    const less = apply(next, "m", { nics: [{ name: "a" }] });
    expect(less.spec).toEqual({ nics: [{ name: "a", ip: "1" }] });
  });

  it("two managers who want different values conflict; force takes the field over", () => {
    const stored = apply(undefined, "a", { size: 1, nics: [{ name: "n", ip: "1" }] });
    const want = { size: 2, nics: [{ name: "n", ip: "2" }] };
    expect(() => apply(stored, "b", want)).toThrow(
      expect.objectContaining({
        code: "Conflict",
        message:
          'Apply failed with 2 conflicts: conflict with "a": .spec.size, conflict with "a": .spec.nics[{"name":"n"}].ip',
      }),
    );
    const taken = apply(stored, "b", want, { force: true });
    expect(taken.spec).toEqual(want);
    expect(apply(taken, "a", {}).spec).toEqual(want);
  });

  it("the same again changes nothing, not even the time", () => {
    const first = apply(undefined, "m", { size: 1 });
    expect(apply(first, "m", { size: 1 }, { now: "2027-01-01T00:00:00Z" })).toEqual(first);
  });

  it("names its fields as fieldsV1 does", () => {
    const object = apply(undefined, "m", { nics: [{ name: "n", ip: "1" }], tags: ["t"], ordered: [1] });
    expect(object.metadata.managedFields).toEqual([
      expect.objectContaining({
        manager: "m",
        operation: "Apply",
        fieldsType: "FieldsV1",
        fieldsV1: {
          "f:spec": {
            "f:nics": { 'k:{"name":"n"}': { ".": {}, "f:name": {}, "f:ip": {} } },
            "f:tags": { 'v:"t"': {} },
            "f:ordered": {},
          },
        },
      }),
    ]);
  });
});
