// How a pool gives out, beyond what upstream's fields can say: annotations on the pool, each with upstream's behaviour where absent.
//
//   ipam.pcg.dev/strategy             lowest | random | least-recently-released
//   ipam.pcg.dev/quarantine           how long a released address rests: "10m"
//   ipam.pcg.dev/sticky               how long a released claim's address is remembered for a claim of its name: "24h"
//   ipam.pcg.dev/drain                entries that give out nothing more, by commas: "10.0.0.10-10.0.0.20,10.0.0.40"
//   ipam.pcg.dev/quota-per-cluster    how many a cluster may hold
//   ipam.pcg.dev/quota-per-namespace  how many the claims of a namespace may hold
//   ipam.pcg.dev/reserve              for claims by name: "db-0=10.0.0.7, other/db-1=10.0.0.8 until 2027-01-01T00:00:00Z"
//   ipam.pcg.dev/set-aside            so many for a cluster: "cluster-1/c1=12, c2=5 until 2027-01-01T00:00:00Z"
//   ipam.pcg.dev/set-aside-growth     the same, written by growth/ alone; of both the larger counts
import type { Problem } from "#core";
import { formatAddress } from "./address.ts";
import { strategies, toSet, type IntervalSet, type Strategy } from "./allocator/index.ts";
import { parseEntry } from "./ranges.ts";
import type { Terms } from "./terms.ts";
import type { Pool } from "./words.ts";

export const policyPrefix = "ipam.pcg.dev/";
/** On a claim: the address that it wants, and no other. */
export const wishAnnotation = `${policyPrefix}address`;
export const setAsideAnnotation = `${policyPrefix}set-aside`;
/** What autoscalers may grow to, written by a controller (growth/). People write the other one. */
export const growthAnnotation = `${policyPrefix}set-aside-growth`;

export interface Promised<T> {
  /** "namespace/name" of a claim, or of a cluster. */
  readonly key: string;
  readonly what: T;
  /** Milliseconds since 1970; undefined: for ever. */
  readonly until: number | undefined;
}

export interface Aside extends Promised<number> {
  /** What is kept once that time has passed: the automatic share. */
  readonly then: number;
}

export interface Policy {
  readonly strategy: Strategy;
  readonly quarantineMs: number;
  readonly stickyMs: number;
  readonly draining: IntervalSet;
  readonly perCluster: number | undefined;
  readonly perNamespace: number | undefined;
  readonly reserved: readonly Promised<bigint>[];
  /** One for each cluster. */
  readonly aside: readonly Aside[];
}

/** What of it still holds at a time. Pure. */
export function policyAt(policy: Policy, now: number): Policy {
  const isPast = ({ until }: Promised<unknown>) => until !== undefined && until <= now;
  return {
    ...policy,
    reserved: policy.reserved.filter((each) => !isPast(each)),
    aside: policy.aside.map((each) => (isPast(each) ? { ...each, what: each.then, until: undefined } : each)),
  };
}

/** The policy of a pool, and what is wrong with its annotations; one that is wrong counts as absent. Pure. */
export function poolPolicy(
  pool: Pool,
  terms: Pick<Terms, "read">,
): { readonly policy: Policy; readonly problems: readonly Problem[] } {
  const problems: Problem[] = [];
  const read = <T>(name: string, parse: (text: string) => T | undefined, wanted: string): T | undefined => {
    const text = pool.metadata.annotations?.[policyPrefix + name];
    if (text === undefined) return undefined;
    const value = parse(text.trim());
    if (value === undefined) {
      const field = `metadata.annotations[${policyPrefix}${name}]`;
      problems.push({ field, message: `${JSON.stringify(text)} is not ${wanted}` });
    }
    return value;
  };
  const duration = (name: string) => read(name, positiveDuration, "a time such as 90s, 10m or 24h") ?? 0;
  const count = (name: string) => read(name, wholeNumber, "a whole number");
  const home = pool.metadata.namespace ?? "";
  const asideIn = (name: string) =>
    read(name, (text) => promises(text, home, wholeNumber), exampleAside) ?? [];
  const policy: Policy = {
    strategy:
      read(
        "strategy",
        (text) => strategies.find((each) => each === text),
        `one of ${strategies.join(", ")}`,
      ) ?? "lowest",
    quarantineMs: duration("quarantine"),
    stickyMs: duration("sticky"),
    draining: read("drain", (text) => drained(text, terms), "a list of addresses, networks or ranges") ?? [],
    perCluster: count("quota-per-cluster"),
    perNamespace: count("quota-per-namespace"),
    reserved: read("reserve", (text) => promises(text, home, terms.read), exampleReserve) ?? [],
    aside: largerOf(asideIn("set-aside"), asideIn("set-aside-growth")),
  };
  return { policy, problems };
}

const exampleReserve = "a list such as db-0=10.0.0.7, db-1=10.0.0.8 until 2027-01-01T00:00:00Z";
const exampleAside = "a list such as cluster-1=12, cluster-2=5 until 2027-01-01T00:00:00Z";

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

function positiveDuration(text: string): number | undefined {
  const [, digits = "", unit = ""] = /^(\d{1,9})(ms|s|m|h|d)$/.exec(text) ?? [];
  const ms = unitMs[unit];
  return ms === undefined ? undefined : Number(digits) * ms;
}

function wholeNumber(text: string): number | undefined {
  return /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}

/** Addresses become numbers of the pool's scheme: a range of addresses drains every prefix from its first to its last. */
function drained(text: string, { read }: Pick<Terms, "read">): IntervalSet | undefined {
  const intervals = text.split(",").map((each) => {
    const entry = parseEntry(each.trim());
    if (!entry) return undefined;
    const low = read(formatAddress({ family: entry.family, value: entry.low }));
    const high = read(formatAddress({ family: entry.family, value: entry.high }));
    return low === undefined || high === undefined || low < 0n ? undefined : { low, high };
  });
  return intervals.some((each) => !each) ? undefined : toSet(intervals.flatMap((each) => each ?? []));
}

/** "name=what", "namespace/name=what until time", by commas. Undefined where anything is wrong. */
function promises<T>(
  text: string,
  home: string,
  parse: (text: string) => T | undefined,
): readonly Promised<T>[] | undefined {
  const list: Promised<T>[] = [];
  for (const part of text.split(",").map((each) => each.trim())) {
    if (part === "") continue;
    const [, name = "", word = "", , time] = /^([^=\s]+)\s*=\s*(\S+)(\s+until\s+(\S+))?$/.exec(part) ?? [];
    const what = parse(word);
    const until = time === undefined ? undefined : Date.parse(time);
    if (!name || what === undefined || Number.isNaN(until)) return undefined;
    list.push({ key: name.includes("/") || home === "" ? name : `${home}/${name}`, what, until });
  }
  return list;
}

/** What is kept for each cluster where a person and growth/ both say so: not the sum, since both count what the cluster holds. Pure. */
function largerOf(byHand: readonly Promised<number>[], grown: readonly Promised<number>[]): Aside[] {
  const growth = new Map(grown.map(({ key, what }) => [key, what]));
  const hand = new Map(byHand.map((each) => [each.key, each]));
  return [...new Set([...hand.keys(), ...growth.keys()])].map((key) => {
    const own = hand.get(key);
    const least = growth.get(key) ?? 0;
    return own && own.what > least
      ? { ...own, then: own.until === undefined ? 0 : least }
      : { key, what: least, until: undefined, then: 0 };
  });
}

/** What growth/ keeps for a cluster in the pool; undefined: nothing. Pure. */
export function grownFor(pool: Pool, cluster: string): number | undefined {
  return grown(pool).find(({ key }) => key === cluster)?.what;
}

/** The clusters, "namespace/name", that growth/ keeps something for in the pool. Pure. */
export function grownClusters(pool: Pool): readonly string[] {
  return grown(pool).map(({ key }) => key);
}

function grown({ metadata }: Pool): readonly Promised<number>[] {
  return (
    promises(metadata.annotations?.[growthAnnotation] ?? "", metadata.namespace ?? "", wholeNumber) ?? []
  );
}

/** The annotation with another count for one cluster; undefined when nothing is set aside any more. Pure. */
export function withSetAside(
  text: string | undefined,
  cluster: string,
  count: number,
  home: string,
): string | undefined {
  const others = (promises(text ?? "", home, wholeNumber) ?? []).filter(({ key }) => key !== cluster);
  const all = count > 0 ? [...others, { key: cluster, what: count, until: undefined }] : others;
  if (all.length === 0) return undefined;
  return all
    .map(
      ({ key, what, until }) =>
        `${key}=${what}${until === undefined ? "" : ` until ${new Date(until).toISOString()}`}`,
    )
    .join(", ");
}
