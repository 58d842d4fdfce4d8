import { describe, expect, it } from "vitest";
import { defineKind } from "../../resource/kind.ts";
import type { Resource } from "../../resource/meta.ts";
import { columnsOf, tableOf } from "./table.ts";

const now = Date.UTC(2026, 0, 1, 1);
const widget = defineKind({
  group: "example.dev",
  version: "v1",
  kind: "Widget",
  plural: "widgets",
  printerColumns: [
    { name: "Size", type: "integer", jsonPath: ".spec.size" },
    { name: "Share", type: "number", jsonPath: ".spec.share" },
    { name: "On", type: "boolean", jsonPath: ".spec.on" },
    { name: "Ready", type: "string", jsonPath: ".status.conditions[?(@.type=='Ready')].status" },
    { name: "Rest", type: "string", jsonPath: ".spec.rest", priority: 1 },
    { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" },
  ],
});

function object(more: object, meta: object = {}): Resource {
  const metadata = { name: "a", namespace: "n", creationTimestamp: "2026-01-01T00:00:00Z", ...meta };
  return { apiVersion: "example.dev/v1", kind: "Widget", metadata, ...more } as unknown as Resource;
}

function cells(kind: Parameters<typeof columnsOf>[0], of: Resource): unknown[] {
  return columnsOf(kind).map((column) => column.cell(of, now));
}

describe("a table", () => {
  it("shows what the columns' paths lead to, in the columns' types", () => {
    const full = object({
      spec: { size: 3.7, share: 0.5, on: false, rest: { a: [1] } },
      status: { conditions: [{ type: "Ready", status: "True" }] },
    });
    expect(cells(widget, full)).toEqual(["a", 3, 0.5, false, "True", '{"a":[1]}', "60m"]);
  });

  it("leaves cells empty where there is nothing, or something of another type", () => {
    expect(cells(widget, object({ spec: { size: "x", on: 1 } }, { creationTimestamp: "yesterday" }))).toEqual(
      ["a", null, null, null, null, null, "<invalid>"],
    );
  });

  it("of a kind without columns shows name and age", () => {
    const bare = defineKind({ group: "g.dev", version: "v1", kind: "Bare", plural: "bares" });
    expect(cells(bare, object({}))).toEqual(["a", "60m"]);
  });

  it.each<[string, object, unknown[]]>([
    ["Secret", { type: "Opaque", data: { a: "", b: "" } }, ["a", "Opaque", 2, "60m"]],
    ["ConfigMap", { data: { a: "" }, binaryData: { b: "" } }, ["a", 2, "60m"]],
    ["Namespace", { status: { phase: "Active" } }, ["a", "Active", "60m"]],
    [
      "Node",
      {
        spec: { unschedulable: true },
        status: { conditions: [{ type: "Ready", status: "True" }], nodeInfo: { kubeletVersion: "v1" } },
      },
      ["a", "Ready,SchedulingDisabled", "<none>", "60m", "v1"],
    ],
    [
      "Event",
      {
        lastTimestamp: "2026-01-01T00:59:00Z",
        type: "Normal",
        reason: "R",
        message: "m",
        involvedObject: { kind: "Widget", name: "w" },
      },
      ["60s", "Normal", "R", "widget/w", "m", "a"],
    ],
  ])("of a %s looks as people know it", (kind, more, expected) => {
    expect(
      cells(defineKind({ group: "", version: "v1", kind, plural: `${kind.toLowerCase()}s` }), object(more)),
    ).toEqual(expected);
  });

  it("carries metadata, the object, or nothing beside a row; heads only when asked", () => {
    const of = (include: "None" | "Metadata" | "Object", heads: boolean) =>
      tableOf(widget, [object({ spec: {} })], { meta: {}, include, now, heads }) as {
        columnDefinitions: unknown[] | null;
        rows: { object: { kind: string; spec?: unknown } | null }[];
      };
    expect(of("None", true).rows[0]?.object).toBeNull();
    expect(of("Metadata", true).rows[0]?.object).toMatchObject({ kind: "PartialObjectMetadata" });
    expect(of("Object", true).rows[0]?.object).toMatchObject({ kind: "Widget", spec: {} });
    expect(of("None", true).columnDefinitions).toHaveLength(7);
    expect(of("None", false).columnDefinitions).toBeNull();
  });
});
