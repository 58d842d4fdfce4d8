// The milestones of a cluster, in Palette's words and order, and how one of them changes. Pure.
//
//   M1. A milestone is Done when the world says so in this round; none is Done by memory alone, but a start time is remembered.
//   M2. An attempt is counted when its time has come, not when something woke us earlier: `nextRetryAt` is the truth.
//   M3. Failed does not exist. InProgress carries the last error and the next try; Blocked waits for a person, and is retried too.
import { backoffDelay, formatTime, type BackoffOptions } from "#core";
import type { Milestone } from "#proto";
import { masked } from "#proto/render/masked.ts";
import { deletionTitles, milestoneTitles } from "#proto/render/titles.ts";

export type MilestoneKey = keyof typeof milestoneTitles | keyof typeof deletionTitles;
export const milestoneKeys = Object.keys(milestoneTitles) as (keyof typeof milestoneTitles)[];
export const deletionKeys = Object.keys(deletionTitles) as (keyof typeof deletionTitles)[];

const titles: Readonly<Record<MilestoneKey, string>> = { ...milestoneTitles, ...deletionTitles };

/** What went wrong, where, in words for a person. */
export interface Trouble {
  readonly code: string;
  readonly message: string;
  /** "VSphereMachine/c1-abcde". */
  readonly object?: string | undefined;
  /** True where only a person can help. */
  readonly blocked?: boolean;
}

export interface Standing {
  readonly state: "Pending" | "InProgress" | "Done";
  readonly trouble?: Trouble;
  /** A trouble that is only being waited out (a machine that boots), not tried again: no attempt is counted. */
  readonly waiting?: boolean;
  readonly progress?: { readonly done: number; readonly total: number };
}

/** One milestone after this round. */
export function milestoneAfter(
  key: MilestoneKey,
  old: Milestone | undefined,
  now: Standing,
  at: number,
  backoff: BackoffOptions,
  random: () => number,
): Milestone {
  const base = { key, title: titles[key] };
  const nowText = formatTime(at);
  if (now.state === "Pending") return { ...base, state: "Pending", attempt: 0 };
  const startedAt = old?.startedAt ?? nowText;
  if (now.state === "Done") {
    return {
      ...base,
      state: "Done",
      startedAt,
      endedAt: old?.state === "Done" && old.endedAt ? old.endedAt : nowText,
      attempt: Math.max(old?.attempt ?? 0, 1),
      ...(now.progress ? { progress: now.progress } : {}),
    };
  }
  const shared = { ...base, startedAt, ...(now.progress ? { progress: now.progress } : {}) };
  const { trouble } = now;
  if (!trouble) return { ...shared, state: "InProgress", attempt: Math.max(old?.attempt ?? 0, 1) };

  const state = trouble.blocked ? ("Blocked" as const) : ("InProgress" as const);
  const same = old?.lastError && sameTrouble(old.lastError, trouble) ? old : undefined;
  const errorOf = (count: number) => ({
    code: trouble.code,
    message: trouble.message,
    ...(trouble.object ? { object: trouble.object } : {}),
    since: same?.lastError?.since ?? nowText,
    count,
  });
  if (now.waiting) {
    return {
      ...shared,
      state,
      attempt: Math.max(old?.attempt ?? 0, 1),
      lastError: errorOf(same?.lastError?.count ?? 1),
    };
  }
  const due = same?.nextRetryAt === undefined || Date.parse(same.nextRetryAt) <= at; // M2
  if (same && !due) {
    return {
      ...shared,
      state,
      attempt: same.attempt,
      ...(same.nextRetryAt ? { nextRetryAt: same.nextRetryAt } : {}),
      lastError: {
        ...errorOf(same.lastError?.count ?? 1),
        message: same.lastError?.message ?? trouble.message,
      },
    };
  }
  const attempt = same ? same.attempt + 1 : 1;
  return {
    ...shared,
    state,
    attempt,
    nextRetryAt: formatTime(at + Math.max(1000, backoffDelay(attempt, backoff, random))),
    lastError: errorOf(same ? (same.lastError?.count ?? 0) + 1 : 1),
  };
}

/** The same failure counts up instead of looking new: numbers, addresses and ids do not matter. */
export function sameTrouble(a: Trouble, b: Trouble): boolean {
  return a.code === b.code && a.object === b.object && masked(a.message) === masked(b.message);
}
