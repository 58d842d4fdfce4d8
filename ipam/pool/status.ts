// A pool's status: upstream's counters, and conditions of ours where the server keeps them.
import { sameJson, setCondition, type Condition, type ConditionDraft, type Problem } from "#core";
import type { Counts } from "../allocator/index.ts";
import { counter } from "../capacity.ts";
import type { PoolTerms } from "../terms.ts";
import type { Pool } from "../words.ts";

export interface PoolView {
  readonly terms: PoolTerms;
  readonly counts: Counts;
  /** Asked for only where counts say that there are some. */
  readonly oddities: () => { readonly outOfRange: readonly string[]; readonly duplicates: readonly string[] };
  /** What is wrong with the pool's annotations. */
  readonly problems: readonly Problem[];
}

type PoolStatus = NonNullable<Pool["status"]>;

/** The status that a pool should have. Pure. */
export function poolStatus(
  { status: have }: Pool,
  view: PoolView,
  { now, conditions }: { readonly now: string; readonly conditions: boolean },
): PoolStatus {
  const { ipAddresses: _c, conditions: _l, ...others } = have ?? {};
  const { terms, counts } = view;
  const { total, used, outOfRange } = counts;
  // What rests or is set aside is not used: upstream's counters know nothing between used and free.
  const free = total - BigInt(used - outOfRange);
  const ipAddresses = {
    total: counter(total),
    used,
    free: counter(free > 0n ? free : 0n),
    outOfRange,
  };
  const before = have?.conditions ?? [];
  const drafts = conditionsOf(view);
  const told = drafts.reduce<readonly Condition[]>((list, draft) => setCondition(list, draft, now), before);
  const kept = told.filter(({ type }) => !ours.has(type) || drafts.some((draft) => draft.type === type));
  return {
    ...others,
    ...(terms.kind === "terms"
      ? { ipAddresses }
      : have?.ipAddresses
        ? { ipAddresses: have.ipAddresses }
        : {}),
    ...(conditions ? { conditions: [...kept] } : {}),
  };
}

const ours = new Set(["Ready", "PolicyAccepted", "Consistent"]);

/** Ready always; the others only where something is the matter. */
function conditionsOf({ terms, counts, oddities, problems }: PoolView): ConditionDraft[] {
  const said = (list: readonly Problem[]) =>
    list.map(({ field, message }) => `${field} ${message}`).join("; ");
  if (terms.kind === "wrong")
    return [{ type: "Ready", status: "False", reason: "PoolInvalid", message: said(terms.problems) }];
  const drafts: ConditionDraft[] = [{ type: "Ready", status: "True", reason: "PoolReady", message: "" }];
  if (problems.length > 0)
    drafts.push({
      type: "PolicyAccepted",
      status: "False",
      reason: "AnnotationIgnored",
      message: said(problems),
    });
  if (counts.duplicates > 0 || counts.outOfRange > 0) {
    const { duplicates, outOfRange } = oddities();
    const parts = [
      ...(duplicates.length > 0 ? [`given twice: ${shown(duplicates)}`] : []),
      ...(outOfRange.length > 0 ? [`in use, though out of the pool's range: ${shown(outOfRange)}`] : []),
    ];
    const reason = duplicates.length > 0 ? "DuplicateAddresses" : "OutOfRange";
    drafts.push({ type: "Consistent", status: "False", reason, message: parts.join("; ") });
  }
  return drafts;
}

/** The first ten, in order. */
function shown(list: readonly string[]): string {
  const first = [...list].sort().slice(0, 10).join(", ");
  return list.length > 10 ? `${first} and ${list.length - 10} more` : first;
}

/** Whether a write is due. Counters that a server sent came through JSON: those beyond 2^53 are compared as it rounds them. Pure. */
export function differs({ status: have }: Pool, want: PoolStatus): boolean {
  return !sameJson(rounded(have ?? {}), rounded(want));
}

function rounded({ ipAddresses, ...others }: PoolStatus): unknown {
  const counters = ipAddresses && Object.entries(ipAddresses).map(([name, count]) => [name, Number(count)]);
  return { ...others, ...(counters ? { ipAddresses: Object.fromEntries(counters) } : {}) };
}
