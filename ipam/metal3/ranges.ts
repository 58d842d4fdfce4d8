// Which addresses a Metal3 pool may give out, with what prefix, gateway and name servers.
//
//   M1. Entries count in their order; inside of one the lowest address comes first. An entry's own prefix, gateway and name servers
//       go before the pool's.
//   M2. An entry is [start, end]; a missing end is the last address of the entry's subnet, or of start's network under the
//       prefix, or there is; a missing start the first after the subnet's own address. With a subnet, both must lie in it.
//   M3. Never given out: every gateway of the pool. Given out only where the pool asks for it (words.ts, reservedAnnotation) or keeps
//       it for a claim by name: the first and last address of an entry's network. Metal3 gives all of those to whoever comes.
//   M4. An address kept by preAllocations goes to the claim of that name only.
import type { Problem } from "#core";
import type { Metal3PoolSpec } from "#proto";
import { bitsOf, formatAddress, parseAddress, type Address, type Family } from "../address.ts";
import { includes, sizeOf, subtract, toSet, type Interval, type IntervalSet } from "../allocator/index.ts";
import { parseEntry, subnetOf } from "../ranges.ts";

/** One entry of spec.pools, as it counts. */
export interface Metal3Range {
  readonly family: Family;
  /** All that the entry spans. */
  readonly bounds: Interval;
  /** What of it may be given to anybody (M3, M4). */
  readonly allocatable: IntervalSet;
  readonly prefix: number | undefined;
  readonly gateway: string | undefined;
  readonly dnsServers: readonly string[] | undefined;
}

export type Metal3Ranges =
  | {
      readonly kind: "ranges";
      readonly ranges: readonly Metal3Range[];
      /** Claim name to address (M4). */
      readonly kept: ReadonlyMap<string, Address>;
    }
  | { readonly kind: "wrong"; readonly problems: readonly Problem[] };

type Entry = NonNullable<Metal3PoolSpec["pools"]>[number];

/** What a pool's text means, or every mistake that leaves it without a meaning. Pure. */
export function metal3Ranges(spec: Metal3PoolSpec, withReserved = false): Metal3Ranges {
  const problems: Problem[] = [];
  const wrong = (field: string, message: string) => void problems.push({ field, message });
  const address = (field: string, text: string | undefined) => {
    const parsed = text === undefined ? undefined : parseAddress(text);
    if (text !== undefined && !parsed) wrong(field, `${JSON.stringify(text)} is not a valid IP address`);
    return parsed;
  };
  const servers = (field: string, list: readonly string[] = []) =>
    list.forEach((text, index) => address(`${field}[${index}]`, text));

  const poolGateway = address("spec.gateway", spec.gateway);
  servers("spec.dnsServers", spec.dnsServers);
  const gateways = poolGateway ? [poolGateway] : [];
  const spans = (spec.pools ?? []).map((entry, index) => {
    const at = `spec.pools[${index}]`;
    const gateway = address(`${at}.gateway`, entry.gateway);
    if (gateway) gateways.push(gateway);
    servers(`${at}.dnsServers`, entry.dnsServers);
    return spanOf(entry, spec.prefix, at, address, wrong);
  });

  const kept = new Map<string, Address>();
  const keeper = new Map<string, string>();
  for (const [claim, text] of Object.entries(spec.preAllocations ?? {})) {
    const field = `spec.preAllocations.${claim}`;
    const parsed = address(field, text);
    if (!parsed) continue;
    const canonical = formatAddress(parsed);
    const other = keeper.get(canonical);
    if (other !== undefined) wrong(field, `${canonical} is already pre-allocated to claim ${other}`);
    else if (!spans.some((span) => span && holds(span, parsed)))
      wrong(field, `${canonical} is out of bounds of the pools given`);
    keeper.set(canonical, claim);
    kept.set(claim, parsed);
  }
  if (problems.length > 0) return { kind: "wrong", problems };

  const ranges = (spec.pools ?? []).map((entry, index) => {
    const span = spans[index]!;
    const withheld: Interval[] = [...gateways, ...kept.values()]
      .filter(({ family }) => family === span.family)
      .map(({ value }) => ({ low: value, high: value }));
    if (!withReserved) withheld.push(...reservedOf(span));
    return {
      family: span.family,
      bounds: span.bounds,
      allocatable: subtract([span.bounds], toSet(withheld)),
      prefix: entry.prefix ?? spec.prefix,
      gateway: entry.gateway ?? spec.gateway,
      dnsServers: entry.dnsServers ?? spec.dnsServers,
    };
  });
  return { kind: "ranges", ranges, kept };
}

interface Span {
  readonly family: Family;
  readonly bounds: Interval;
  /** The networks whose first and last address are reserved. */
  readonly networks: readonly Interval[];
}

/** M2. */
function spanOf(
  entry: Entry,
  poolPrefix: number | undefined,
  at: string,
  address: (field: string, text: string | undefined) => Address | undefined,
  wrong: (field: string, message: string) => void,
): Span | undefined {
  const { start: startText, end: endText, subnet: subnetText } = entry;
  if (startText === undefined && subnetText === undefined) {
    const message =
      endText === undefined
        ? "must have a subnet, or a start and an end"
        : "has an end, but neither start nor subnet";
    wrong(at, message);
    return undefined;
  }
  const start = address(`${at}.start`, startText);
  const end = address(`${at}.end`, endText);
  const subnet = subnetText === undefined ? undefined : parseEntry(subnetText);
  if (subnetText !== undefined && (!subnet || !subnetText.includes("/"))) {
    wrong(`${at}.subnet`, `${JSON.stringify(subnetText)} is not a network such as 10.0.0.0/24`);
    return undefined;
  }
  if ((startText !== undefined && !start) || (endText !== undefined && !end)) return undefined;

  const family = start?.family ?? subnet!.family;
  if ([start, end, subnet].some((each) => each && each.family !== family)) {
    wrong(at, "mixes IP families");
    return undefined;
  }
  const prefix = entry.prefix ?? poolPrefix;
  if (prefix !== undefined && (prefix < 0 || prefix > bitsOf(family))) {
    wrong(`${at}.prefix`, `must be from 0 to ${bitsOf(family)} for IPv${family}`);
    return undefined;
  }
  const written =
    subnetText === undefined ? undefined : parseAddress(subnetText.slice(0, subnetText.indexOf("/")));
  const network = subnet ?? (prefix ? subnetOf(start!, prefix) : undefined);
  const low = start?.value ?? (subnet!.low === subnet!.high ? subnet!.low : written!.value + 1n);
  const high = end?.value ?? network?.high ?? (1n << BigInt(bitsOf(family))) - 1n;
  if (low > high) {
    wrong(
      at,
      endText === undefined
        ? `has no address after ${subnetText}`
        : `end ${endText} is before start ${formatAddress({ family, value: low })}`,
    );
    return undefined;
  }
  if (subnet && (low < subnet.low || high > subnet.high)) {
    wrong(at, `start and end must lie in the subnet ${subnetText}`);
    return undefined;
  }
  const networks = [
    ...(subnet ? [subnet] : []),
    ...(prefix ? [subnetOf({ family, value: low }, prefix), subnetOf({ family, value: high }, prefix)] : []),
  ];
  return { family, bounds: { low, high }, networks };
}

/** First and last addresses of the networks; IPv6 knows no broadcast, and networks of two or one use all they have. */
function reservedOf({ family, networks }: Span): Interval[] {
  return networks
    .filter(({ low, high }) => high - low > 1n)
    .flatMap(({ low, high }) => (family === 4 ? [low, high] : [low]))
    .map((value) => ({ low: value, high: value }));
}

function holds({ family, bounds }: Pick<Span, "family" | "bounds">, address: Address): boolean {
  return address.family === family && address.value >= bounds.low && address.value <= bounds.high;
}

/** The entry that an address belongs to: the first that spans it. Pure. */
export function rangeOf(ranges: readonly Metal3Range[], address: Address): Metal3Range | undefined {
  return ranges.find((range) => holds(range, address));
}

/** Whether anybody may have the address. Pure. */
export function isAllocatable(ranges: readonly Metal3Range[], { family, value }: Address): boolean {
  return ranges.some((range) => range.family === family && includes(range.allocatable, value));
}

/** How many addresses the entries give out, kept ones included. Pure. */
export function metal3Total({ ranges, kept }: Metal3Ranges & { kind: "ranges" }): bigint {
  const perFamily = ([4, 6] as const).map((family) =>
    sizeOf(
      toSet(ranges.filter((range) => range.family === family).flatMap(({ allocatable }) => allocatable)),
    ),
  );
  return BigInt(kept.size) + perFamily.reduce((sum, size) => sum + size, 0n);
}

/** What admission refuses of a pool: on update in comparison with the former, and with the addresses in use. Pure. */
export function metal3PoolProblems(
  spec: Metal3PoolSpec,
  former?: Metal3PoolSpec,
  inUse: readonly string[] = [],
): readonly Problem[] {
  const problems: Problem[] = [];
  if (former && former.namePrefix !== spec.namePrefix)
    problems.push({
      field: "spec.namePrefix",
      message: "cannot be modified: names of addresses begin with it; make another pool",
    });
  if (former && former.allocationStrategy !== spec.allocationStrategy)
    problems.push({ field: "spec.allocationStrategy", message: "cannot be modified; make another pool" });
  const meant = metal3Ranges(spec);
  if (meant.kind === "wrong") return [...problems, ...meant.problems];
  const lost = inUse.filter((text) => {
    const address = parseAddress(text);
    return !address || !rangeOf(meant.ranges, address);
  });
  if (lost.length > 0) {
    const shown = lost.slice(0, 10).join(", ") + (lost.length > 10 ? ", ..." : "");
    problems.push({ field: "spec.pools", message: `must go on covering the addresses in use: ${shown}` });
  }
  return problems;
}
