// Conditions as metav1 has them: one per type, a transition time that moves only when the status does.

export interface Condition {
  readonly type: string;
  readonly status: "True" | "False" | "Unknown";
  /** A CamelCase word for programs; never empty. */
  readonly reason: string;
  /** For people; may be empty. */
  readonly message: string;
  readonly lastTransitionTime: string;
  readonly observedGeneration?: number | undefined;
}

/** A condition before its transition time is known. */
export type ConditionDraft = Omit<Condition, "lastTransitionTime">;

/**
 * The list with `draft` in it: the old one of its type is replaced in place, a new type goes to the end.
 * `now` (RFC 3339) becomes the transition time when the status differs from before. Pure.
 */
export function setCondition(
  conditions: readonly Condition[] | undefined,
  draft: ConditionDraft,
  now: string,
): Condition[] {
  const list = [...(conditions ?? [])];
  const at = list.findIndex((c) => c.type === draft.type);
  const old = at < 0 ? undefined : list[at];
  const next: Condition = {
    ...draft,
    lastTransitionTime: old?.status === draft.status ? old.lastTransitionTime : now,
  };
  if (at < 0) list.push(next);
  else list[at] = next;
  return list;
}

export function getCondition(
  conditions: readonly Condition[] | undefined,
  type: string,
): Condition | undefined {
  return conditions?.find((c) => c.type === type);
}

export function isTrue(conditions: readonly Condition[] | undefined, type: string): boolean {
  return getCondition(conditions, type)?.status === "True";
}
