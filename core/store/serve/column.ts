// One column of a table: what it says of an object. Pure.
import { toJson } from "../../json.ts";
import { followJsonPath, parseJsonPath } from "../../resource/json-path.ts";
import type { PrinterColumn } from "../../resource/kind.ts";
import type { Resource } from "../../resource/meta.ts";
import { humanDuration } from "../../time/human-duration.ts";

/** One column: its head, and what it says of an object at a time. */
export interface Column {
  readonly name: string;
  readonly type: string;
  readonly format?: string;
  readonly description?: string;
  readonly priority?: number;
  cell(object: Resource, now: number): unknown;
}

export const name: Column = {
  name: "Name",
  type: "string",
  format: "name",
  description: "The object's name.",
  cell: (object) => object.metadata.name,
};

export const age: Column = printed({
  name: "Age",
  type: "date",
  description: "How long the object has been there.",
  jsonPath: ".metadata.creationTimestamp",
});

/** A column as a kind declares it. The first value its path leads to is shown. */
export function printed(column: PrinterColumn): Column {
  const path = parseJsonPath(column.jsonPath);
  const { name: head, type, description = `Value at ${column.jsonPath}.`, priority } = column;
  return {
    name: head,
    type,
    description,
    ...(priority === undefined ? {} : { priority }),
    cell: (object, now) => cellOf(type, followJsonPath(path, object)[0], now),
  };
}

/** A value as a cell of this type; null where it does not fit. */
export function cellOf(type: string, value: unknown, now: number): unknown {
  if (value === undefined || value === null) return null;
  switch (type) {
    case "integer":
      return typeof value === "number" ? Math.trunc(value) : null;
    case "number":
      return typeof value === "number" ? value : null;
    case "boolean":
      return typeof value === "boolean" ? value : null;
    case "date":
      return typeof value === "string" ? since(value, now) : null;
    default:
      return typeof value === "string" ? value : toJson(value);
  }
}

/** How long ago a time was, for people. */
export function since(time: string, now: number): string {
  const at = Date.parse(time);
  return Number.isNaN(at) ? "<invalid>" : humanDuration(now - at);
}
