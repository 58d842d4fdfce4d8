// JSON values: copying, comparing, cleaning. Objects in a store are JSON and nothing else.
import { isDeepStrictEqual } from "node:util";

/** A deep copy of a JSON value that shares nothing with it; members that are undefined are left out, as JSON does. */
export function copyJson<T>(value: T): T {
  return copy(value) as T;
}

function copy(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => (item === undefined ? null : copy(item)));
  if (typeof (value as { toJSON?: unknown }).toJSON === "function") {
    return copy((value as { toJSON(): unknown }).toJSON());
  }
  const members: Record<string, unknown> = {};
  for (const key of Object.keys(value)) {
    const member = (value as Record<string, unknown>)[key];
    if (member === undefined) continue;
    if (key === "__proto__") continue; // never a member of ours, and dangerous to assign
    members[key] = copy(member);
  }
  return members;
}

/** Whether two JSON values say the same; the order of members does not count, the order of items does. */
export function sameJson(a: unknown, b: unknown): boolean {
  return isDeepStrictEqual(a, b);
}
