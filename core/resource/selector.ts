// Label selectors: equality and sets, as Kubernetes writes them.

export type Requirement =
  | { readonly key: string; readonly op: "=" | "!="; readonly value: string }
  | { readonly key: string; readonly op: "in" | "notin"; readonly values: readonly string[] }
  | { readonly key: string; readonly op: "exists" | "!exists" };

/** All requirements must hold; an empty list matches everything. */
export type LabelSelector = readonly Requirement[];

/** A selector that wants each of these labels to have exactly this value. */
export function matchLabels(labels: Readonly<Record<string, string>>): LabelSelector {
  return Object.entries(labels).map(([key, value]) => ({ key, op: "=" as const, value }));
}

/** Whether these labels fulfil the selector. As in Kubernetes, != and notin also match where the label is absent. */
export function matches(selector: LabelSelector, labels: Readonly<Record<string, string>> = {}): boolean {
  return selector.every((want) => {
    const value = Object.hasOwn(labels, want.key) ? labels[want.key] : undefined;
    switch (want.op) {
      case "=":
        return value === want.value;
      case "!=":
        return value !== want.value;
      case "in":
        return value !== undefined && want.values.includes(value);
      case "notin":
        return value === undefined || !want.values.includes(value);
      case "exists":
        return value !== undefined;
      case "!exists":
        return value === undefined;
    }
  });
}

/** The text form: "a=b,c in (d,e),!f". */
export function formatSelector(selector: LabelSelector): string {
  return selector
    .map((want) => {
      switch (want.op) {
        case "=":
        case "!=":
          return `${want.key}${want.op}${want.value}`;
        case "in":
        case "notin":
          return `${want.key} ${want.op} (${want.values.join(",")})`;
        case "exists":
          return want.key;
        case "!exists":
          return `!${want.key}`;
      }
    })
    .join(",");
}
