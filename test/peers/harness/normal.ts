// What two servers may print differently, made the same: identities, times, revisions, addresses. Pure.
import type { Outcome } from "./sides.ts";

const rules: readonly (readonly [RegExp, string])[] = [
  [/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, "UID"],
  [/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, "TIME"],
  [/\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}/g, "TIME"],
  [/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)? [+-]\d{4}/g, "TIME"],
  [/("?resourceVersion"?: *|Resource Version: +)"?\d+"?/g, "$1REVISION"],
  [/https:\/\/127\.0\.0\.1:\d+/g, "SERVER"],
  [/\/tmp\/(LIVE|MERGED)-\d+/g, "/tmp/$1"],
  // Ages, in tables and in describe. Columns are laid out by the widest cell, so what is between them goes as well.
  [/(?<=\s|^|\()(\d+[smh]){1,2}(?=\s|$|\))/gm, "AGE"],
  [/^[IWE]\d{4} \d\d:.*\n/gm, ""], // kubectl's own log: whether a watch was short is a matter of luck
  [/ {2,}/g, "  "],
  [/ +$/gm, ""],
];

export function normal(outcome: Outcome): Outcome {
  return { code: outcome.code, out: plain(outcome.out), err: plain(outcome.err) };
}

export function plain(text: string): string {
  return rules.reduce((at, [what, by]) => at.replace(what, by), text);
}
