// The type table, joined and looked up by name. Reader and writer walk it; types.ts derives TypeScript types from it, so what
// the compiler believes and what goes over the wire cannot differ.
import { coreTypes } from "./table/core-types.ts";
import { enums } from "./table/enums.ts";
import { faultTypes } from "./table/fault-types.ts";
import { managedTypes } from "./table/managed.ts";
import { methods } from "./table/methods.ts";
import type { Descriptor, ManagedRow, MethodRow, TypeRow } from "./table/row.ts";
import { vmTypes } from "./table/vm-types.ts";

export const dataTypes = { ...coreTypes, ...vmTypes, ...faultTypes };
export { enums, managedTypes, methods };

const scalars = ["string", "boolean", "byte", "short", "int", "long", "float", "double", "dateTime"] as const;
export type Scalar = (typeof scalars)[number];

/** A descriptor taken apart. */
export interface Field {
  readonly type: string;
  readonly many: boolean;
  readonly optional: boolean;
}

export type Fields = ReadonlyMap<string, Field>;

export function parseDescriptor(descriptor: Descriptor): Field {
  if (descriptor.endsWith("[]")) return { type: descriptor.slice(0, -2), many: true, optional: true };
  if (descriptor.endsWith("?")) return { type: descriptor.slice(0, -1), many: false, optional: true };
  return { type: descriptor, many: false, optional: false };
}

function parseFields(row: Readonly<Record<string, Descriptor>>): [string, Field][] {
  return Object.entries(row).map(([name, descriptor]) => [name, parseDescriptor(descriptor)]);
}

const scalarSet: ReadonlySet<string> = new Set(scalars);
const enumSet: ReadonlySet<string> = new Set(Object.keys(enums));
const typeRows = new Map<string, TypeRow>(Object.entries(dataTypes));
const managedRows = new Map<string, ManagedRow>(Object.entries(managedTypes));
const methodRows = new Map<string, MethodRow>(Object.entries(methods));

const fieldsOf = new Map<string, Fields>();
const propertiesOf = new Map<string, Fields>();
const paramsOf = new Map<string, Fields>();

export function isScalar(type: string): type is Scalar {
  return scalarSet.has(type);
}

export function isEnum(type: string): boolean {
  return enumSet.has(type);
}

/** All fields of a data type, those of its bases first, in the order of the schema; undefined when the table does not know it. */
export function dataFields(type: string): Fields | undefined {
  const known = fieldsOf.get(type);
  if (known) return known;
  const row = typeRows.get(type);
  if (!row) return undefined;
  const fields = new Map([...(row.base ? (dataFields(row.base) ?? []) : []), ...parseFields(row.fields)]);
  fieldsOf.set(type, fields);
  return fields;
}

/** Properties of a managed object type, its bases' included; undefined when the table does not know it. */
export function managedProperties(type: string): Fields | undefined {
  const known = propertiesOf.get(type);
  if (known) return known;
  const row = managedRows.get(type);
  if (!row) return undefined;
  const all = new Map([
    ...(row.base ? (managedProperties(row.base) ?? []) : []),
    ...parseFields(row.properties),
  ]);
  propertiesOf.set(type, all);
  return all;
}

/** Parameters of a method, `_this` first; undefined when the table does not know it. */
export function methodParams(name: string): Fields | undefined {
  const known = paramsOf.get(name);
  if (known) return known;
  const row = methodRows.get(name);
  if (!row) return undefined;
  const params = new Map([["_this", parseDescriptor("ref")], ...parseFields(row.params)]);
  paramsOf.set(name, params);
  return params;
}

export function methodRow(name: string): MethodRow | undefined {
  return methodRows.get(name);
}

/** True when `type` is `base` or descends from it, among data types or managed objects. */
export function isA(type: string, base: string): boolean {
  for (let at: string | undefined = type; at; at = typeRows.get(at)?.base ?? managedRows.get(at)?.base)
    if (at === base) return true;
  return false;
}
