// Conditions of both contracts, as Cluster API writes them: order, summaries, aggregates. Pure.
//
//   K1. A transition time moves only when the status does; observedGeneration follows the object.
//   K2. A summary is False when any part is False, else Unknown when any part is Unknown; its message lists every part that is not
//       as wished, in the order given, nested by two spaces a level; a part without a message is told by its reason.
//   K3. An aggregate names objects of the same message together: at most three, then "and N more".
import { setCondition, type Condition } from "#core";
import type { OldCondition } from "#proto";

/** A condition before the generation and the time are known. */
export interface Draft {
  readonly type: string;
  readonly status: "True" | "False" | "Unknown";
  readonly reason: string;
  readonly message?: string;
}

export function yes(type: string, reason: string, message = ""): Draft {
  return { type, status: "True", reason, message };
}

export function no(type: string, reason: string, message = ""): Draft {
  return { type, status: "False", reason, message };
}

export function unknown(type: string, reason: string, message = ""): Draft {
  return { type, status: "Unknown", reason, message };
}

/** The list with the drafts in it (K1), in `order`; types that `order` does not name keep their place before the tail. */
export function withConditions(
  have: readonly Condition[] | undefined,
  drafts: readonly Draft[],
  order: readonly string[],
  generation: number,
  now: string,
): Condition[] {
  const list = drafts.reduce<readonly Condition[]>(
    (conditions, { type, status, reason, message = "" }) =>
      setCondition(conditions, { type, status, reason, message, observedGeneration: generation }, now),
    have ?? [],
  );
  const rank = (type: string) => {
    const at = order.indexOf(type);
    if (at >= 0) return at;
    return type === "Paused" ? 98 : type === "Deleting" ? 99 : 90;
  };
  return [...list].sort((a, b) => rank(a.type) - rank(b.type));
}

/** Without the conditions of these types. */
export function withoutConditions(
  have: readonly Condition[] | undefined,
  types: readonly string[],
): Condition[] {
  return (have ?? []).filter((condition) => !types.includes(condition.type));
}

/** One part of a summary: a condition under the name it is told by. `bad` is the status that is an issue; "False" unless told. */
export interface Part {
  readonly name: string;
  readonly status: "True" | "False" | "Unknown";
  readonly reason: string;
  readonly message: string;
}

/** The reason of a part whose condition is missing. */
export const notReported = "NotYetReported";

/** A condition as part of a summary; one that is missing counts as Unknown, not yet reported. */
export function part(conditions: readonly Condition[] | undefined, type: string, name = type): Part {
  const found = conditions?.find((condition) => condition.type === type);
  if (!found) return { name, status: "Unknown", reason: notReported, message: "Condition not yet reported" };
  return { name, status: found.status, reason: found.reason, message: found.message };
}

export interface Words {
  readonly yes: string;
  readonly no: string;
  readonly unknown: string;
}

const readyWords: Words = { yes: "Ready", no: "NotReady", unknown: "ReadyUnknown" };

/** One condition that stands for many parts (K2). */
export function summary(type: string, parts: readonly Part[], words: Words = readyWords): Draft {
  const issues = parts.filter((p) => p.status !== "True");
  const message = issues.map((p) => bullet(p.name, p.message || p.reason)).join("\n");
  if (issues.some((p) => p.status === "False")) return no(type, words.no, message);
  return issues.length > 0 ? unknown(type, words.unknown, message) : yes(type, words.yes);
}

/** "* Name: text", or the text below the name when it is a list itself. */
function bullet(name: string, text: string): string {
  return text.startsWith("* ") ? `* ${name}:\n${indent(text)}` : `* ${name}: ${text}`;
}

function indent(text: string): string {
  return text
    .split("\n")
    .map((line) => `  ${line}`)
    .join("\n");
}

/** One condition that stands for the same condition of many objects (K3). None at all is True with `words.none`. */
export function aggregate(
  type: string,
  kind: string,
  parts: readonly Part[],
  words: Words & { readonly none: string } = { ...readyWords, none: "NoReplicas" },
): Draft {
  if (parts.length === 0) return yes(type, words.none);
  const issues = parts.filter((p) => p.status !== "True");
  const message = groups(kind, issues);
  if (issues.some((p) => p.status === "False")) return no(type, words.no, message);
  return issues.length > 0 ? unknown(type, words.unknown, message) : yes(type, words.yes);
}

function groups(kind: string, parts: readonly Part[]): string {
  const byText = new Map<string, string[]>();
  for (const { name, message, reason } of parts) {
    const text = message || reason;
    byText.set(text, [...(byText.get(text) ?? []), name]);
  }
  return [...byText].map(([text, names]) => bullet(nameList(kind, names.sort()), text)).join("\n");
}

function nameList(kind: string, names: readonly string[]): string {
  const [first] = names;
  if (names.length === 1) return `${kind} ${first}`;
  const shown = names.slice(0, 3).join(", ");
  return names.length > 3 ? `${kind}s ${shown}, ... (${names.length - 3} more)` : `${kind}s ${shown}`;
}

/** A condition of contract v1beta1 before the time is known. */
export type OldDraft = Omit<OldCondition, "lastTransitionTime">;

export function oldYes(type: string, extra: Partial<OldDraft> = {}): OldDraft {
  return { type, status: "True", ...extra };
}

export function oldNo(
  type: string,
  severity: "Error" | "Warning" | "Info" | undefined,
  reason: string,
  message?: string,
): OldDraft {
  return {
    type,
    status: "False",
    reason,
    ...(severity ? { severity } : {}),
    ...(message ? { message } : {}),
  };
}

/** Conditions of contract v1beta1 with the drafts in them: Ready first, then by name, as Cluster API sorts them. */
export function withOldConditions(
  have: readonly OldCondition[] | undefined,
  drafts: readonly OldDraft[],
  now: string,
): OldCondition[] {
  const list = new Map((have ?? []).map((condition) => [condition.type, condition]));
  for (const draft of drafts) {
    const old = list.get(draft.type);
    const lastTransitionTime = old?.status === draft.status ? old.lastTransitionTime : now;
    list.set(draft.type, { ...draft, lastTransitionTime });
  }
  const rank = (type: string) => (type === "Ready" ? "" : type);
  return [...list.values()].sort((a, b) => (rank(a.type) < rank(b.type) ? -1 : 1));
}

/** The v1beta1 Ready that stands for others: the worst of what is False, by severity, in the order given. */
export function oldSummary(parts: readonly (OldDraft | undefined)[]): OldDraft {
  const falses = parts.filter((p) => p !== undefined).filter((p) => p.status === "False");
  const worst = ["Error", "Warning", "Info", undefined]
    .map((severity) => falses.find((p) => p.severity === severity))
    .find((p) => p !== undefined);
  return worst ? { ...worst, type: "Ready" } : oldYes("Ready");
}
