// Which objects a property filter selects, by its starting objects and traversals; and what it says of each.
import type { Ref } from "#vsphere";
import { isA, managedProperties } from "#vsphere/soap/table.ts";
import type { Read, Write } from "#vsphere/soap/types.ts";
import { Typed } from "#vsphere/soap/writer.ts";
import { gone } from "./fault.ts";
import { valueAt, type PropertyBag } from "./properties.ts";

type Filter = Read<"PropertyFilterSpec">;
type Selection = Read<"SelectionSpec">;
type Traversal = Extract<Selection, { readonly $type: "TraversalSpec" }>;

/** Finds an object for one who asks: "hidden" when that account may not see it. */
export type Lookup = (ref: Ref) => PropertyBag | "hidden" | undefined;

/** The selected objects with the properties asked for, each once. Throws ManagedObjectNotFound for a start that is gone. */
export function select(filter: Filter, lookup: Lookup): Write<"ObjectContent">[] {
  const chosen = new Map<string, Ref>();
  for (const start of filter.objectSet) {
    if (lookup(start.obj) === undefined) {
      if (filter.reportMissingObjectsInResults) continue;
      throw gone(start.obj);
    }
    if (!start.skip) chosen.set(start.obj.value, start.obj);
    walk(start.obj, start.selectSet, namedSpecs(start.selectSet), lookup, chosen, new Set());
  }
  return [...chosen.values()].flatMap((ref) => contentOf(ref, filter.propSet, lookup) ?? []);
}

function walk(
  from: Ref,
  selections: readonly Selection[],
  named: ReadonlyMap<string, Traversal>,
  lookup: Lookup,
  chosen: Map<string, Ref>,
  seen: Set<string>,
): void {
  const bag = lookup(from);
  if (!bag || bag === "hidden") return;
  for (const selection of selections) {
    const traversal = isTraversal(selection) ? selection : named.get(selection.name ?? "");
    if (!traversal || !isA(bag.type, traversal.type)) continue;
    const step = `${from.value} ${traversal.name ?? ""} ${traversal.type}.${traversal.path}`;
    if (seen.has(step)) continue;
    seen.add(step);
    for (const target of targets(bag, traversal.path)) {
      if (!lookup(target)) continue;
      if (!traversal.skip) chosen.set(target.value, target);
      walk(target, traversal.selectSet, named, lookup, chosen, seen);
    }
  }
}

function isTraversal(selection: Selection): selection is Traversal {
  return selection.$type === "TraversalSpec";
}

/** Traversals by name, however deep they were written. */
function namedSpecs(
  selections: readonly Selection[],
  found = new Map<string, Traversal>(),
): Map<string, Traversal> {
  for (const selection of selections) {
    if (!isTraversal(selection)) continue;
    if (selection.name) found.set(selection.name, selection);
    namedSpecs(selection.selectSet, found);
  }
  return found;
}

function targets(bag: PropertyBag, path: string): readonly Ref[] {
  const value = valueAt(bag, path)?.value;
  return value === undefined ? [] : Array.isArray(value) ? (value as Ref[]) : [value as Ref];
}

function contentOf(ref: Ref, propSet: Filter["propSet"], lookup: Lookup): Write<"ObjectContent"> | undefined {
  const bag = lookup(ref);
  if (bag === undefined) return undefined;
  const type = bag === "hidden" ? ref.type : bag.type;
  const fitting = propSet.filter((spec) => isA(type, spec.type));
  if (fitting.length === 0) return undefined;
  const paths = new Set(fitting.flatMap((spec) => (spec.all ? allPaths(type) : spec.pathSet)));
  if (bag === "hidden") {
    const fault = { $type: "NoPermission", object: ref, privilegeId: "System.View" } as const;
    return { obj: ref, missingSet: [...paths].map((path) => ({ path, fault: { fault } })) };
  }
  const propSetOut = [...paths].flatMap((name) => {
    const val = valueAt(bag, name);
    return val === undefined ? [] : [{ name, val }];
  });
  return { obj: ref, propSet: propSetOut };
}

function allPaths(type: string): string[] {
  return [...(managedProperties(type)?.keys() ?? [])];
}

/** A stable text of a value, to see whether it changed. */
export function fingerprint(value: unknown): string {
  return JSON.stringify(value instanceof Typed ? value.value : value);
}
