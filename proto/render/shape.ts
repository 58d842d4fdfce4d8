// What every renderer of Cluster API objects shares: empty values dropped, names bounded, one hash for "the same content".
import { createHash } from "node:crypto";

/** Lists that mean something when they are empty: kubeadm reads `taints: []` as "no taint at all". */
const meaningfulWhenEmpty = new Set(["taints"]);
/** Maps of free text, where an empty value is a value: a label may be "". */
const freeText = new Set(["labels", "annotations", "matchLabels"]);

/**
 * The value without undefined, null, "", empty lists and empty objects, at any depth. Cluster API's v1beta2 refuses such values
 * where they mean the same as absence. Numbers and booleans stay, so a renderer must not write a zero that it does not mean.
 */
export function dropEmpty<T>(value: T): T {
  return (pruned(value) ?? {}) as T;
}

function pruned(value: unknown, key?: string): unknown {
  if (value === undefined || value === null || value === "") return undefined;
  if (Array.isArray(value)) {
    const items = value.map((item) => pruned(item)).filter((item) => item !== undefined);
    return items.length > 0 || (key !== undefined && meaningfulWhenEmpty.has(key)) ? items : undefined;
  }
  if (typeof value !== "object") return value;
  const free = key !== undefined && freeText.has(key);
  const entries = Object.entries(value)
    .map(([name, inner]) => [name, free ? inner : pruned(inner, name)] as const)
    .filter(([, inner]) => inner !== undefined);
  return entries.length > 0 ? Object.fromEntries(entries) : undefined;
}

/** JSON with sorted keys and without undefined: equal text means equal content. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item ?? null)).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value ?? null);
  const entries = Object.entries(value)
    .filter(([, inner]) => inner !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return `{${entries.map(([key, inner]) => `${JSON.stringify(key)}:${canonicalJson(inner)}`).join(",")}}`;
}

/** SHA-256 of the canonical JSON, hex. */
export function contentHash(value: unknown): string {
  return createHash("sha256").update(canonicalJson(value)).digest("hex");
}

/** `base` + `suffix`, at most `max` long: where it would be longer the base is cut and a hash of the whole keeps it unique. */
export function boundedName(base: string, suffix: string, max = 63): string {
  const whole = base + suffix;
  if (whole.length <= max) return whole;
  const mark = `-${contentHash(whole).slice(0, 6)}`;
  return base.slice(0, max - suffix.length - mark.length).replace(/-+$/, "") + mark + suffix;
}

/** Whether every field of `wanted` is in `have` with the same value; lists must be of the same length. */
export function includes(have: unknown, wanted: unknown): boolean {
  if (Array.isArray(wanted)) {
    return (
      Array.isArray(have) &&
      have.length === wanted.length &&
      wanted.every((item, at) => includes(have[at], item))
    );
  }
  if (wanted === null || typeof wanted !== "object") return Object.is(have, wanted);
  if (have === null || typeof have !== "object") return false;
  return Object.entries(wanted).every(
    ([key, inner]) => inner === undefined || includes((have as Record<string, unknown>)[key], inner),
  );
}

/** `have` with the fields of `wanted` laid over it; what `wanted` does not mention stays. Lists are taken whole. */
export function overlay<T>(have: T, wanted: unknown): T {
  if (wanted === null || typeof wanted !== "object" || Array.isArray(wanted)) return wanted as T;
  const base: Record<string, unknown> =
    have !== null && typeof have === "object" && !Array.isArray(have) ? { ...have } : {};
  for (const [key, inner] of Object.entries(wanted)) {
    if (inner !== undefined) base[key] = overlay(base[key], inner);
  }
  return base as T;
}
