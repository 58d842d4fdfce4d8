// The text forms of selectors, as kubectl and the API take them (Kubernetes "Labels and Selectors").
import { Fault } from "../fault.ts";
import type { LabelSelector, Requirement } from "./selector.ts";

const keyPattern = /^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const valuePattern = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/;

/**
 * A label selector from its text: "a=b", "a==b", "a!=b", "a in (b,c)", "a notin (b)", "a", "!a", joined by commas.
 * Empty text is the selector that matches everything. Invalid names the part that cannot be read.
 */
export function parseSelector(text: string): LabelSelector {
  return splitOutsideParentheses(text)
    .map((part) => part.trim())
    .filter((part, _at, all) => part !== "" || (all.length > 1 && fail(text, "an empty requirement")))
    .map((part) => parseRequirement(part, text));
}

function parseRequirement(part: string, text: string): Requirement {
  const set = /^(\S+)\s+(in|notin)\s*\(([^()]*)\)$/.exec(part);
  if (set) {
    const values = set[3]!.split(",").map((value) => checkedValue(value.trim(), text));
    return { key: checkedKey(set[1]!, text), op: set[2] as "in" | "notin", values };
  }
  const equality = /^([^=!\s]+)\s*(==|=|!=)\s*(\S*)$/.exec(part);
  if (equality) {
    const op = equality[2] === "!=" ? "!=" : "=";
    return { key: checkedKey(equality[1]!, text), op, value: checkedValue(equality[3]!, text) };
  }
  const absent = /^!\s*(\S+)$/.exec(part);
  if (absent) return { key: checkedKey(absent[1]!, text), op: "!exists" };
  return { key: checkedKey(part, text), op: "exists" };
}

function splitOutsideParentheses(text: string): string[] {
  const parts = [""];
  let depth = 0;
  for (const char of text) {
    if (char === "(") depth++;
    if (char === ")") depth--;
    if (char === "," && depth === 0) parts.push("");
    else parts[parts.length - 1] += char;
  }
  if (depth !== 0) fail(text, "a parenthesis without its partner");
  return parts;
}

function checkedKey(key: string, text: string): string {
  if (!keyPattern.test(key)) fail(text, `"${key}", which is no label key`);
  return key;
}

function checkedValue(value: string, text: string): string {
  if (!valuePattern.test(value)) fail(text, `"${value}", which is no label value`);
  return value;
}

function fail(text: string, what: string): never {
  throw new Fault("Invalid", `the label selector "${text}" holds ${what}`, {
    problems: [{ field: "labelSelector", message: what }],
  });
}

/** One requirement of a field selector: a dotted path, and the value it must (or must not) have. */
export interface FieldRequirement {
  readonly path: string;
  readonly op: "=" | "!=";
  readonly value: string;
}

/** A field selector from its text: "metadata.name=a,status.phase!=Running"; a backslash takes the next character as it is. */
export function parseFieldSelector(text: string): FieldRequirement[] {
  return splitUnescaped(text)
    .filter((part) => part.trim() !== "")
    .map((part) => {
      const found = /^\s*([A-Za-z0-9_.\-[\]]+)\s*(==|=|!=)(.*)$/s.exec(part);
      if (!found) {
        throw new Fault("Invalid", `the field selector "${text}" holds "${part}", which is not path=value`, {
          problems: [{ field: "fieldSelector", message: `"${part}" is not path=value` }],
        });
      }
      const value = found[3]!.replace(/\\(.)/gs, "$1");
      return { path: found[1]!, op: found[2] === "!=" ? ("!=" as const) : ("=" as const), value };
    });
}

function splitUnescaped(text: string): string[] {
  return [...text.matchAll(/(?:\\.|[^,\\])+/gs)].map((found) => found[0]);
}
