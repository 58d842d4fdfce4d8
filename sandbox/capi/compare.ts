// Holds objects against the recorded golden ones, field by field, apart from what differs from run to run.
// Exported code: the same comparison runs on what the played controllers write and on what the real ones write.
import type { Resource } from "#core";

/** A place where two objects differ: "Machine/cp-1 status.phase". */
export interface Difference {
  readonly object: string;
  readonly path: string;
  readonly got: unknown;
  readonly want: unknown;
}

/** Metadata and other members that a store or a moment decides. */
const fleeting = new Set([
  "resourceVersion",
  "creationTimestamp",
  "lastTransitionTime",
  "lastUpdated",
  "managedFields",
]);

/**
 * Objects in a form in which two runs are equal: random names by role and order ("cp-1", "worker-1"); addresses, UUIDs, MAC addresses,
 * tokens and hashes numbered by order of appearance; fleeting members left out.
 */
export function normalise(objects: readonly Resource[]): Map<string, unknown> {
  const names = renames(objects);
  const words = new Map<string, string>();
  const counts = new Map<string, number>();
  const stand = (sort: string, text: string) => {
    if (unnumbered.has(sort)) return `<${sort}>`;
    const have = words.get(`${sort} ${text}`);
    if (have) return have;
    const count = (counts.get(sort) ?? 0) + 1;
    counts.set(sort, count);
    const word = `<${sort} ${count}>`; // numbered: what is equal in one run must be equal in the other
    words.set(`${sort} ${text}`, word);
    return word;
  };
  const text = (value: string): string => {
    let out = value;
    for (const [from, to] of names) out = out.replaceAll(from, to);
    for (const [sort, pattern] of patterns) out = out.replace(pattern, (match) => stand(sort, match));
    return out;
  };
  const clean = (value: unknown, key: string): unknown => {
    if (typeof value === "string") return encoded.has(key) ? `<${key}>` : text(value);
    if (Array.isArray(value)) {
      const items = value.map((item) => clean(item, ""));
      return key === "finalizers" ? items.sort() : items;
    }
    if (typeof value !== "object" || value === null) return value;
    const entries = Object.entries(value)
      .filter(([name, item]) => !fleeting.has(name) && !(name === "annotations" && isEmpty(item)))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, item]) => [text(name), clean(item, name)] as const);
    return Object.fromEntries(entries);
  };
  const sorted = [...objects].sort((a, b) => titleOf(a, text).localeCompare(titleOf(b, text)));
  return new Map(sorted.map((object) => [titleOf(object, text), clean(object, "")]));
}

const encoded = new Set(["tls.crt", "tls.key", "value", "format", "password", "username"]);

const patterns: readonly (readonly [string, RegExp])[] = [
  ["uuid", /\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g],
  ["mac", /\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b/g],
  ["thumbprint", /\b(?:[0-9A-F]{2}:)+[0-9A-F]{2}\b/g],
  ["ip", /\b10\.\d+\.\d+\.\d+(?=$|[^.\d])/g],
  ["endpoint", /\b127\.\d+\.\d+\.\d+(?::\d+)?(?=$|[^.:\d])/g],
  ["hash", /\bsha256:[0-9a-f]{64}\b/g],
  ["token", /^[a-z0-9]{6}\.[a-z0-9]{16}$/g],
  ["vm", /\bvm-\d+\b/g],
  ["snapshot", /\bsnapshot-\d+\b/g],
  ["host", /\b(?:DC0_C0_H\d+|esx-\d+)\b/g],
  ["templatehash", /\b\d{8,10}(?=-<set>|-)/g],
  ["version", /^\d+\.\d+\.\d+$/g],
];

/** Which of these a thing gets is somebody else's choice: two runs may even differ in which are equal. */
const unnumbered = new Set(["host", "version", "snapshot"]);

function titleOf(object: Resource, text: (value: string) => string): string {
  return `${object.kind}/${text(object.metadata.name)}`;
}

function isEmpty(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.keys(value).length === 0;
}

/** Random names, longest first: control planes by age, sets, workers by name. */
function renames(objects: readonly Resource[]): [string, string][] {
  const machines = objects
    .filter((o) => o.kind === "Machine")
    .sort(
      (a, b) =>
        a.metadata.creationTimestamp.localeCompare(b.metadata.creationTimestamp) ||
        a.metadata.name.localeCompare(b.metadata.name),
    );
  const isControlPlane = (o: Resource) => o.metadata.labels?.["cluster.x-k8s.io/control-plane"] !== undefined;
  const out = new Map<string, string>();
  machines.filter(isControlPlane).forEach((m, i) => out.set(m.metadata.name, `cp-${i + 1}`));
  const workers = machines
    .filter((m) => !isControlPlane(m))
    .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  workers.forEach((m, i) => out.set(m.metadata.name, `worker-${i + 1}`));
  for (const set of objects.filter((o) => o.kind === "MachineSet")) {
    out.set(set.metadata.name, `set-of-${set.metadata.labels?.["cluster.x-k8s.io/deployment-name"]}`);
    const suffix = set.metadata.name.slice(set.metadata.name.lastIndexOf("-"));
    out.set(suffix, "-<set>");
  }
  return [...out].sort((a, b) => b[0].length - a[0].length);
}

/** A path that is knowingly not played, and why. `object` and `path` are matched from their beginnings. */
export interface Exception {
  readonly object: RegExp;
  readonly path: RegExp;
  readonly why: string;
}

/** All differences between two sets of normalised objects. */
export function differences(
  got: ReadonlyMap<string, unknown>,
  want: ReadonlyMap<string, unknown>,
): Difference[] {
  const out: Difference[] = [];
  for (const name of new Set([...want.keys(), ...got.keys()]))
    compare(name, "", got.get(name), want.get(name), out);
  return out;
}

/** The differences that no exception explains. */
export function except(found: readonly Difference[], exceptions: readonly Exception[]): Difference[] {
  return found.filter((d) => !exceptions.some((e) => e.object.test(d.object) && e.path.test(d.path)));
}

function compare(object: string, path: string, got: unknown, want: unknown, out: Difference[]): void {
  if (isRecord(got) && isRecord(want)) {
    for (const key of new Set([...Object.keys(got), ...Object.keys(want)]))
      compare(object, path ? `${path}.${key}` : key, got[key], want[key], out);
    return;
  }
  if (Array.isArray(got) && Array.isArray(want)) return compareLists(object, path, got, want, out);
  if (JSON.stringify(got) !== JSON.stringify(want)) out.push({ object, path, got, want });
}

/** Lists of conditions by type, and the order of the types; other lists item by item. */
function compareLists(
  object: string,
  path: string,
  got: unknown[],
  want: unknown[],
  out: Difference[],
): void {
  const typed = (list: unknown[]) => list.every((item) => isRecord(item) && typeof item.type === "string");
  if (path.endsWith("onditions") && typed(got) && typed(want)) {
    const byType = (list: unknown[]) => new Map(list.map((item) => [(item as { type: string }).type, item]));
    const [a, b] = [byType(got), byType(want)];
    for (const type of new Set([...a.keys(), ...b.keys()]))
      compare(object, `${path}[${type}]`, a.get(type), b.get(type), out);
    const order = (list: Map<string, unknown>, other: Map<string, unknown>) =>
      [...list.keys()].filter((type) => other.has(type));
    compare(object, `${path} order`, order(a, b).join(), order(b, a).join(), out);
    return;
  }
  const length = Math.max(got.length, want.length);
  for (let i = 0; i < length; i++) compare(object, `${path}[${i}]`, got[i], want[i], out);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** For a failing test: one difference a line. */
export function tell(found: readonly Difference[]): string {
  return found
    .map(
      (d) => `${d.object} ${d.path}\n    got  ${JSON.stringify(d.got)}\n    want ${JSON.stringify(d.want)}`,
    )
    .join("\n");
}
