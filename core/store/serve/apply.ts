// Server-side apply. Pure: the stored object, what a manager applies, and who owns what give the next object.
// (Kubernetes: "Server-Side Apply"; sigs.k8s.io/structured-merge-diff for the form of fieldsV1.)
//
//   A1. What is applied is there afterwards; a field the manager applied before and leaves out now goes, unless another applied it too.
//   A2. Lists are replaced as a whole, but for those the schema calls sets or maps.
//   A3. Only appliers are kept in managedFields; plain updates leave no trace there. So a conflict is found between two appliers that
//       want different values, and never between an applier and an update. `force` takes the field over.
//   A4. Applying the same thing again changes nothing, not even a time.
import { Fault, type Problem } from "../../fault.ts";
import { sameJson } from "../../resource/json.ts";
import type { Resource } from "../../resource/meta.ts";
import { shapeOf, type Shape } from "./fields.ts";
import { isMembers } from "./patch.ts";

type Members = Readonly<Record<string, unknown>>;

/** A tree of owned fields, as fieldsV1 writes it: "f:name" members, "k:{...}" items by key, "v:..." items of a set, "." the thing itself. */
export interface Fields {
  readonly [step: string]: Fields;
}

interface Managed {
  readonly manager: string;
  readonly operation: "Apply";
  readonly apiVersion: string;
  readonly time: string;
  readonly fieldsType: "FieldsV1";
  readonly fieldsV1: Fields;
  readonly subresource?: string;
}

export interface Applying {
  readonly manager: string;
  readonly force: boolean;
  /** RFC 3339. */
  readonly now: string;
  readonly schema: Readonly<Record<string, unknown>> | undefined;
  readonly subresource?: string;
}

/** The next object. Conflict where another manager applied a different value and `force` is not set (A3). */
export function applyPatch(stored: Resource | undefined, patch: Members, applying: Applying): Resource {
  const shape = shapeOf(applying.schema);
  const wanted = bare(patch);
  const fields = fieldsOf(wanted, shape);
  const managed = ((stored?.metadata.managedFields ?? []) as Managed[]).filter(isManaged);
  const mine = managed.find((each) => isMine(each, applying));
  const others = managed.filter((each) => !isMine(each, applying));

  const conflicts = others.flatMap((other) => conflictsWith(other, fields, wanted, stored, shape));
  if (conflicts.length > 0 && !applying.force) throw conflictFault(conflicts);

  const left =
    conflicts.length > 0 ? others.map((other) => disown(other, fields, wanted, stored, shape)) : others;
  const gone = difference(mine?.fieldsV1 ?? {}, [fields, ...left.map((each) => each.fieldsV1)]);
  const cleared = removeFields(stored ?? {}, gone, shape);
  const merged = mergeShaped(cleared, wanted, shape) as Resource;
  const entry = entryFor(mine, fields, patch, applying);
  return {
    ...merged,
    metadata: {
      ...merged.metadata,
      managedFields: [...left.filter(({ fieldsV1 }) => Object.keys(fieldsV1).length > 0), entry],
    },
  };
}

function isManaged(entry: Managed): boolean {
  return entry.operation === "Apply" && entry.fieldsType === "FieldsV1" && isMembers(entry.fieldsV1);
}

function isMine(entry: Managed, { manager, subresource }: Applying): boolean {
  return entry.manager === manager && entry.subresource === subresource;
}

function entryFor(mine: Managed | undefined, fields: Fields, patch: Members, applying: Applying): Managed {
  const same = mine !== undefined && sameJson(mine.fieldsV1, fields);
  const { manager, now, subresource } = applying;
  return {
    manager,
    operation: "Apply",
    apiVersion: String(patch["apiVersion"]),
    time: same ? mine.time : now, // A4
    fieldsType: "FieldsV1",
    fieldsV1: fields,
    ...(subresource === undefined ? {} : { subresource }),
  };
}

const ownMeta = [
  "name",
  "namespace",
  "uid",
  "resourceVersion",
  "generation",
  "creationTimestamp",
  "managedFields",
  "deletionTimestamp",
  "generateName",
  "selfLink",
];

/** The patch without what identifies the object or belongs to the server. */
function bare(patch: Members): Members {
  const { apiVersion, kind, metadata, ...rest } = patch;
  void apiVersion;
  void kind;
  const meta = Object.entries(isMembers(metadata) ? metadata : {}).filter(([key]) => !ownMeta.includes(key));
  return meta.length > 0 ? { ...rest, metadata: Object.fromEntries(meta) } : rest;
}

/** Which fields a value sets. */
export function fieldsOf(value: unknown, shape: Shape): Fields {
  if (isMembers(value) && !shape.atomic) {
    return Object.fromEntries(
      Object.entries(value).map(([key, member]) => [`f:${key}`, fieldsOf(member, shape.member(key))]),
    );
  }
  if (!Array.isArray(value) || shape.list.kind === "atomic") return {};
  return Object.fromEntries(
    value.map((item) => {
      const own = isMembers(item) ? { ".": {}, ...fieldsOf(item, shape.item) } : {};
      return [stepOf(item, shape), own];
    }),
  );
}

/** How fieldsV1 names an item of a set or of a map. */
function stepOf(item: unknown, { list }: Shape): string {
  if (list.kind !== "map") return `v:${JSON.stringify(item)}`;
  const keys = [...list.keys].sort().filter((key) => isMembers(item) && item[key] !== undefined);
  return `k:${JSON.stringify(Object.fromEntries(keys.map((key) => [key, (item as Members)[key]])))}`;
}

/** `fields` without everything that any of the others has. A thing is kept by others when they own anything below it. */
function difference(fields: Fields, others: readonly Fields[]): Fields {
  const left = Object.entries(fields).flatMap(([step, below]): [string, Fields][] => {
    const kept = others.filter((other) => Object.hasOwn(other, step)).map((other) => other[step]!);
    if (kept.length === 0) return [[step, below]];
    const deeper = difference(below, kept);
    return Object.keys(deeper).length > 0 ? [[step, deeper]] : [];
  });
  return Object.fromEntries(left);
}

/** The value without these fields. What holds nothing afterwards goes as well; an item of a list goes when it was owned itself ("."). */
function removeFields(value: unknown, gone: Fields, shape: Shape): unknown {
  if (Object.keys(gone).length === 0) return value;
  if (isMembers(value)) {
    return Object.fromEntries(
      Object.entries(value).flatMap(([key, member]): [string, unknown][] => {
        const left = removeFrom(member, gone[`f:${key}`], shape.member(key));
        return left === undefined ? [] : [[key, left]];
      }),
    );
  }
  if (!Array.isArray(value)) return value;
  return value.flatMap((item: unknown) => {
    const left = removeFrom(item, gone[stepOf(item, shape)], shape.item);
    return left === undefined ? [] : [left];
  });
}

/** A value below a step, or undefined when it goes as a whole. */
function removeFrom(value: unknown, gone: Fields | undefined, shape: Shape): unknown {
  if (gone === undefined) return value;
  if (Object.keys(gone).length === 0 || Object.hasOwn(gone, ".")) return undefined;
  const left = removeFields(value, gone, shape);
  return typeof left === "object" && left !== null && Object.keys(left).length === 0 ? undefined : left;
}

/** The value with what is wanted in it (A2). */
function mergeShaped(value: unknown, wanted: unknown, shape: Shape): unknown {
  if (isMembers(wanted) && isMembers(value) && !shape.atomic) {
    const result = new Map(Object.entries(value));
    for (const [key, member] of Object.entries(wanted)) {
      result.set(key, mergeShaped(result.get(key), member, shape.member(key)));
    }
    return Object.fromEntries(result);
  }
  if (!Array.isArray(wanted) || !Array.isArray(value) || shape.list.kind === "atomic") return wanted;
  const items = new Map(value.map((item: unknown) => [stepOf(item, shape), item]));
  for (const item of wanted as unknown[]) {
    const step = stepOf(item, shape);
    items.set(step, mergeShaped(items.get(step), item, shape.item));
  }
  return [...items.values()];
}

interface ConflictAt {
  readonly manager: string;
  readonly path: readonly string[];
}

function conflictsWith(
  other: Managed,
  fields: Fields,
  wanted: unknown,
  stored: unknown,
  shape: Shape,
): ConflictAt[] {
  return clashes(other.fieldsV1, fields, wanted, stored, shape).map((path) => ({
    manager: other.manager,
    path,
  }));
}

/** The leaves that both own and for which a different value is wanted. */
function clashes(theirs: Fields, mine: Fields, wanted: unknown, stored: unknown, shape: Shape): string[][] {
  return Object.keys(mine)
    .filter((step) => step !== "." && Object.hasOwn(theirs, step))
    .flatMap((step) => {
      const [next, have, below] = descend(step, wanted, stored, shape);
      const leaf = Object.keys(mine[step]!).length === 0 || Object.keys(theirs[step]!).length === 0;
      if (leaf) return sameJson(mergeShaped(have, next, below), have) ? [] : [[step]];
      return clashes(theirs[step]!, mine[step]!, next, have, below).map((path) => [step, ...path]);
    });
}

function descend(step: string, wanted: unknown, stored: unknown, shape: Shape): [unknown, unknown, Shape] {
  if (step.startsWith("f:")) {
    const key = step.slice(2);
    return [memberOf(wanted, key), memberOf(stored, key), shape.member(key)];
  }
  const find = (list: unknown) =>
    Array.isArray(list) ? (list as unknown[]).find((item) => stepOf(item, shape) === step) : undefined;
  return [find(wanted), find(stored), shape.item];
}

function memberOf(value: unknown, key: string): unknown {
  return isMembers(value) && Object.hasOwn(value, key) ? value[key] : undefined;
}

/** The other's fields without those taken over by force. */
function disown(other: Managed, fields: Fields, wanted: unknown, stored: unknown, shape: Shape): Managed {
  const taken = clashes(other.fieldsV1, fields, wanted, stored, shape);
  return { ...other, fieldsV1: taken.reduce<Fields>((left, path) => cut(left, path), other.fieldsV1) };
}

function cut(fields: Fields, [step, ...rest]: readonly string[]): Fields {
  const entries = Object.entries(fields).flatMap(([key, below]): [string, Fields][] => {
    if (key !== step) return [[key, below]];
    if (rest.length === 0) return [];
    const deeper = cut(below, rest);
    return Object.keys(deeper).length > 0 ? [[key, deeper]] : [];
  });
  return Object.fromEntries(entries);
}

function conflictFault(conflicts: readonly ConflictAt[]): Fault {
  const problems: Problem[] = conflicts.map(({ manager, path }) => ({
    field: pathText(path),
    message: `conflict with "${manager}"`,
  }));
  const list = problems.map(({ field, message }) => `${message}: ${field}`).join(", ");
  const count = problems.length === 1 ? "1 conflict" : `${problems.length} conflicts`;
  return new Fault("Conflict", `Apply failed with ${count}: ${list}`, { problems });
}

function pathText(path: readonly string[]): string {
  return path.map((step) => (step.startsWith("f:") ? `.${step.slice(2)}` : `[${step.slice(2)}]`)).join("");
}
