// What admission says of a pool: upstream's rejections, with words that also say what to do. Reading what is in use is the caller's.
import type { Problem, Resource } from "#core";
import type { PoolSpec } from "#proto";
import { includes } from "../allocator/index.ts";
import { policyPrefix, poolPolicy } from "../policy.ts";
import { prefixWarnings } from "../prefixes.ts";
import { poolProblems } from "../ranges.ts";
import { poolTerms } from "../terms.ts";
import { isPrefixPool, type Pool } from "../words.ts";

/** Upstream's: a pool that bears it may be deleted while its addresses are in use, as `clusterctl move` does. */
export const skipDeleteAnnotation = "ipam.cluster.x-k8s.io/skip-validate-delete-webhook";

export interface AdmissionRequest {
  readonly uid: string;
  readonly operation: "CREATE" | "UPDATE" | "DELETE" | "CONNECT";
  readonly kind: { readonly group: string; readonly version: string; readonly kind: string };
  readonly name?: string;
  readonly namespace?: string;
  readonly object?: Resource | null;
  readonly oldObject?: Resource | null;
  readonly subResource?: string;
}

export type Verdict =
  | { readonly kind: "allowed"; readonly warnings: readonly string[] }
  /** Something in it is wrong: 422. */
  | { readonly kind: "invalid"; readonly problems: readonly Problem[]; readonly warnings: readonly string[] }
  /** It would hurt what is in use: 400. */
  | { readonly kind: "in use"; readonly message: string; readonly warnings: readonly string[] };

/** About a pool, given the addresses of its IPAddresses. Pure. */
export function judgePool(
  operation: AdmissionRequest["operation"],
  pool: Pool,
  old: Pool | undefined,
  inUse: readonly string[],
): Verdict {
  switch (operation) {
    case "CREATE":
      return judgeText(pool);
    case "UPDATE":
      return judgeUpdate(pool, old, inUse);
    case "DELETE":
      return judgeDelete(old ?? pool, inUse);
    default:
      return { kind: "allowed", warnings: [] };
  }
}

function judgeText(pool: Pool): Verdict {
  const terms = poolTerms(pool);
  const problems = isPrefixPool(pool)
    ? terms.kind === "wrong"
      ? terms.problems
      : []
    : [...poolProblems(pool.spec), ...graceProblems(pool.spec)];
  const policy = terms.kind === "terms" ? poolPolicy(pool, terms).problems : [];
  const all = [...problems, ...policy];
  const warnings = warningsOf(pool);
  return all.length > 0 ? { kind: "invalid", problems: all, warnings } : { kind: "allowed", warnings };
}

function judgeUpdate(pool: Pool, old: Pool | undefined, inUse: readonly string[]): Verdict {
  // Finalizers come and go on pools that could not be made today, too.
  const isSame = JSON.stringify(pool.spec) === JSON.stringify(old?.spec);
  if (isSame && pool.metadata.deletionTimestamp !== undefined) return { kind: "allowed", warnings: [] };
  const text = judgeText(pool);
  const changed =
    old &&
    isPrefixPool(old) &&
    isPrefixPool(pool) &&
    old.spec.allocationPrefixLength !== pool.spec.allocationPrefixLength
      ? [
          {
            field: "spec.allocationPrefixLength",
            message: "is immutable; make another pool for another length",
          },
        ]
      : [];
  if (text.kind !== "allowed" || changed.length > 0) {
    const problems = [...changed, ...(text.kind === "invalid" ? text.problems : [])];
    return { kind: "invalid", problems, warnings: text.warnings };
  }
  const terms = poolTerms(pool);
  if (terms.kind === "wrong" || isSame) return text;
  const lost = inUse.filter((address) => {
    const value = terms.read(address);
    return value === undefined || !includes(terms.universe, value);
  });
  if (lost.length === 0) return text;
  const what = isPrefixPool(pool)
    ? "existing allocations become non-allocatable"
    : "pool addresses do not contain allocated addresses";
  const drain = `to empty a range first, keep it and set annotation ${policyPrefix}drain to it`;
  return { kind: "in use", message: `${what}: ${shown(lost)}; ${drain}`, warnings: text.warnings };
}

function judgeDelete(pool: Pool, inUse: readonly string[]): Verdict {
  const isSkipped = pool.metadata.annotations?.[skipDeleteAnnotation] !== undefined;
  if (inUse.length === 0 || isSkipped) return { kind: "allowed", warnings: [] };
  const message =
    `Pool has IPAddresses allocated. Cannot delete Pool until all IPAddresses have been removed: ${shown(inUse)}; ` +
    `delete their claims first (pcg ipam claims lists them)`;
  return { kind: "in use", message, warnings: [] };
}

function graceProblems({ addressReuseGracePeriodSeconds: seconds }: PoolSpec): Problem[] {
  if (seconds === undefined || seconds >= 0) return [];
  return [{ field: "spec.addressReuseGracePeriodSeconds", message: `must not be negative, is ${seconds}` }];
}

/** What is odd, though it works: fields that look like ones of ours, a gateway elsewhere, a pool that gives out nothing. */
function warningsOf(pool: Pool): string[] {
  if (isPrefixPool(pool)) return [...prefixWarnings(pool.spec)];
  const terms = poolTerms(pool);
  const warnings: string[] = [];
  if (terms.kind === "terms" && terms.universe.length === 0)
    warnings.push("the pool gives out nothing: network, broadcast, gateway and exclusions leave no address");
  if ("excludeAddresses" in pool.spec)
    warnings.push(
      "spec.excludeAddresses is not a field and excludes nothing; the field is excludedAddresses",
    );
  return warnings;
}

function shown(list: readonly string[]): string {
  const first = list.slice(0, 10).join(", ");
  return list.length > 10 ? `${first} and ${list.length - 10} more` : first;
}

/** The verdict as an AdmissionReview. Pure. */
export function reviewOf({ uid, kind, name = "" }: AdmissionRequest, verdict: Verdict): unknown {
  const { warnings } = verdict;
  const response = {
    uid,
    allowed: verdict.kind === "allowed",
    ...(warnings.length > 0 ? { warnings: warnings.map((text) => text.slice(0, 250)) } : {}),
  };
  const review = (result: Record<string, unknown> | undefined) => ({
    apiVersion: "admission.k8s.io/v1",
    kind: "AdmissionReview",
    response: { ...response, ...(result ? { status: { status: "Failure", ...result } } : {}) },
  });
  switch (verdict.kind) {
    case "allowed":
      return review(undefined);
    case "in use":
      return review({ code: 400, reason: "BadRequest", message: verdict.message });
    case "invalid": {
      const said = verdict.problems.map(({ field, message }) => `${field}: ${message}`).join(", ");
      const causes = verdict.problems.map(({ field, message }) => ({
        reason: "FieldValueInvalid",
        field,
        message,
      }));
      const message = `${kind.kind}.${kind.group} "${name}" is invalid: ${said}`;
      return review({
        code: 422,
        reason: "Invalid",
        message,
        details: { name, group: kind.group, kind: kind.kind, causes },
      });
    }
  }
}
