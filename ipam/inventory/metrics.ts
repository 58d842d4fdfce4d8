// Figures for monitoring, in Prometheus' text form. Pure.
import type { HistoryEntry } from "../history/history.ts";
import { poolViews, type PoolView } from "./pools.ts";
import { addressOfClaim, pointerText, type Inventory } from "./read.ts";

const dayMs = 86_400_000;
/** Growth is measured over this time, or since history began if that is less; over less than an hour it says nothing. */
export const growthMs = 14 * dayMs;
const leastMs = 3_600_000;

/**
 * Days until a pool is used up if it grows on as it did; undefined where it does not grow, or too little is known. Growth is what was
 * given less what was released.
 */
export function daysToExhaustion(
  pool: Pick<PoolView, "pool" | "free">,
  history: readonly HistoryEntry[],
  now: number,
): number | undefined {
  const name = pointerText(pool.pool);
  const own = history.filter((each) => each.pool === name && each.at >= now - growthMs && each.at <= now);
  const [first] = own;
  if (!first || now - first.at < leastMs) return undefined;
  const grown = own.reduce((sum, { event }) => sum + (event === "given" ? 1 : -1), 0);
  return grown <= 0 ? undefined : (Number(pool.free) / grown) * ((now - first.at) / dayMs);
}

/** Seconds from a claim to its address, up to and including each. */
const buckets = [1, 2, 5, 10, 30, 60, 300, 1800];

export interface MetricFacts {
  readonly inventory: Inventory;
  /** The last fourteen days, where history is kept. */
  readonly history?: readonly HistoryEntry[];
  /** Values that rest, by pool ("InClusterIPPool c/nodes"). */
  readonly quarantined?: ReadonlyMap<string, number>;
  /** Conflicts of the last look, by reason. */
  readonly conflicts?: readonly { readonly reason: string }[];
}

export function addressMetrics(facts: MetricFacts, now: number): string {
  const { inventory, history = [], quarantined, conflicts = [] } = facts;
  const pools = poolViews(inventory);
  const lines: string[] = [];
  const family = (
    name: string,
    type: string,
    help: string,
    rows: readonly (readonly [string, string | number])[],
  ) => {
    if (rows.length === 0) return;
    lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
    for (const [labels, value] of rows) lines.push(`${name}${labels} ${value}`);
  };
  const of = ({ pool }: PoolView, more = "") =>
    `{kind="${escaped(pool.kind)}",namespace="${escaped(pool.namespace ?? "")}",pool="${escaped(pool.name)}"${more}}`;
  family(
    "pcg_ipam_addresses",
    "gauge",
    "Addresses of a pool by state.",
    pools.flatMap((view) => {
      const resting = quarantined?.get(pointerText(view.pool));
      return [
        [of(view, ',state="free"'), view.free],
        [of(view, ',state="used"'), view.used],
        [of(view, ',state="out_of_range"'), view.outOfRange],
        ...(resting === undefined ? [] : [[of(view, ',state="quarantined"'), resting] as const]),
      ] as const;
    }),
  );
  family(
    "pcg_ipam_addresses_total",
    "gauge",
    "Addresses that a pool gives out.",
    pools.map((view) => [of(view), view.total]),
  );
  family(
    "pcg_ipam_claims_waiting",
    "gauge",
    "Claims without an address.",
    pools.map((view) => [of(view), view.waiting]),
  );
  family(
    "pcg_ipam_pool_usable",
    "gauge",
    "0 where a pool has mistakes.",
    pools.map((view) => [of(view), view.state === "wrong" ? 0 : 1]),
  );
  family(
    "pcg_ipam_exhaustion_days",
    "gauge",
    "Days until a pool is used up if it grows on as it did.",
    pools.flatMap((view) => {
      const days = daysToExhaustion(view, history, now);
      return days === undefined ? [] : [[of(view), days.toFixed(2)] as const];
    }),
  );
  const reasons = new Map<string, number>();
  for (const { reason } of conflicts) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  family(
    "pcg_ipam_conflicts",
    "gauge",
    "Conflicts found at the last look.",
    [...reasons].map(([reason, count]) => [`{reason="${escaped(reason)}"}`, count]),
  );
  lines.push(...latency(inventory));
  return lines.join("\n") + "\n";
}

/** A histogram over the claims that are bound now, to the second. */
function latency(inventory: Inventory): string[] {
  const seconds = inventory.claims.flatMap((claim) => {
    const address = addressOfClaim(inventory, claim);
    if (!address) return [];
    const took =
      Date.parse(address.object.metadata.creationTimestamp) -
      Date.parse(claim.object.metadata.creationTimestamp);
    return [Math.max(took, 0) / 1000];
  });
  const name = "pcg_ipam_allocation_seconds";
  const upTo = (limit: number) => seconds.filter((each) => each <= limit).length;
  return [
    `# HELP ${name} From a claim's creation to its address, of claims that are bound.`,
    `# TYPE ${name} histogram`,
    ...buckets.map((limit) => `${name}_bucket{le="${limit}"} ${upTo(limit)}`),
    `${name}_bucket{le="+Inf"} ${seconds.length}`,
    `${name}_sum ${seconds.reduce((sum, each) => sum + each, 0)}`,
    `${name}_count ${seconds.length}`,
  ];
}

function escaped(text: string): string {
  return text.replace(/[\\"\n]/g, (c) => (c === "\n" ? "\\n" : `\\${c}`));
}
