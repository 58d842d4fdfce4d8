// The part of JSONPath that printer columns use (CRD `additionalPrinterColumns`, kubectl's JSONPath):
// .field, ['field'], [0], [-1], [*], [?(@.a.b=="c")] with ==, !=, <, <=, >, >= or bare existence.
import { Fault } from "../fault.ts";

type Step =
  | { readonly kind: "field"; readonly name: string }
  | { readonly kind: "index"; readonly at: number }
  | { readonly kind: "all" }
  | { readonly kind: "where"; readonly path: JsonPath; readonly op?: Comparison; readonly value?: unknown };

type Comparison = "==" | "!=" | "<" | "<=" | ">" | ">=";

/** A path, read once and followed often. */
export type JsonPath = readonly Step[];

/** Reads a path. With or without "{...}" around it and "$" at its head. Invalid where it cannot be read. */
export function parseJsonPath(text: string): JsonPath {
  const steps: Step[] = [];
  let rest = text
    .trim()
    .replace(/^\{(.*)\}$/s, "$1")
    .replace(/^\$/, "");
  if (rest !== "" && !rest.startsWith(".") && !rest.startsWith("[")) rest = `.${rest}`;
  while (rest !== "" && rest !== ".") {
    const { step, length } = readStep(rest, text);
    steps.push(step);
    rest = rest.slice(length);
  }
  return steps;
}

function readStep(rest: string, text: string): { step: Step; length: number } {
  const field = /^\.((?:\\.|[^.[\]\\])+)/s.exec(rest);
  if (field) {
    const name = field[1]!.replace(/\\(.)/gs, "$1");
    return { step: name === "*" ? { kind: "all" } : { kind: "field", name }, length: field[0].length };
  }
  const quoted = /^\.?\[\s*(['"])(.*?)\1\s*\]/s.exec(rest);
  // CRDs escape dots inside the quotes, too: ['cluster\.x-k8s\.io/cluster-name'].
  if (quoted) {
    return { step: { kind: "field", name: quoted[2]!.replace(/\\(.)/gs, "$1") }, length: quoted[0].length };
  }
  const index = /^\[\s*(-?\d+|\*)\s*\]/.exec(rest);
  if (index) {
    const step: Step = index[1] === "*" ? { kind: "all" } : { kind: "index", at: Number(index[1]) };
    return { step, length: index[0].length };
  }
  const where = /^\[\?\(\s*@(.*?)\s*(?:(==|!=|<=|>=|<|>)\s*(.+?)\s*)?\)\]/s.exec(rest);
  if (where) return { step: readFilter(where), length: where[0].length };
  throw new Fault("Invalid", `the path "${text}" cannot be read at "${rest}"`);
}

function readFilter(found: RegExpExecArray): Step {
  const path = parseJsonPath(found[1]!);
  if (found[2] === undefined) return { kind: "where", path };
  return { kind: "where", path, op: found[2] as Comparison, value: literal(found[3]!) };
}

function literal(text: string): unknown {
  const quoted = /^(['"])(.*)\1$/s.exec(text);
  if (quoted) return quoted[2];
  if (text === "true" || text === "false") return text === "true";
  const number = Number(text);
  return Number.isNaN(number) ? text : number;
}

/** Every value the path leads to, in order; an empty list where it leads nowhere. */
export function followJsonPath(path: JsonPath, value: unknown): unknown[] {
  return path.reduce<unknown[]>((at, step) => at.flatMap((each) => follow(step, each)), [value]);
}

function follow(step: Step, value: unknown): unknown[] {
  if (typeof value !== "object" || value === null) return [];
  switch (step.kind) {
    case "field":
      return !Array.isArray(value) && Object.hasOwn(value, step.name)
        ? [(value as Record<string, unknown>)[step.name]]
        : [];
    case "index": {
      if (!Array.isArray(value)) return [];
      const at = step.at < 0 ? value.length + step.at : step.at;
      return at in value ? [value[at]] : [];
    }
    case "all":
      return Object.values(value);
    case "where":
      return Object.values(value).filter((each) => holds(step, each));
  }
}

function holds(step: Extract<Step, { kind: "where" }>, value: unknown): boolean {
  const found = followJsonPath(step.path, value);
  if (step.op === undefined) return found.length > 0;
  return found.some((each) => compare(each, step.op!, step.value));
}

function compare(left: unknown, op: Comparison, right: unknown): boolean {
  if (op === "==") return left === right;
  if (op === "!=") return left !== right;
  if (typeof left !== typeof right || (typeof left !== "number" && typeof left !== "string")) return false;
  const [a, b] = [left, right as typeof left];
  return op === "<" ? a < b : op === "<=" ? a <= b : op === ">" ? a > b : a >= b;
}
