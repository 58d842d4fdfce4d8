// What names, labels and owner references may look like. The rules are Kubernetes' (docs: "Object Names and IDs", "Labels and
// Selectors"; RFC 1123), so that what the embedded store accepts a real API server accepts as well.
import type { Problem } from "../fault.ts";
import type { ObjectMeta } from "./meta.ts";

const label = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const word = /^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/;

/** A DNS label: lower case letters, digits and '-', at most 63. */
export function isDnsLabel(text: string): boolean {
  return text.length <= 63 && label.test(text);
}

/** A DNS subdomain: labels joined by dots, at most 253 in all. */
export function isDnsSubdomain(text: string): boolean {
  return text.length <= 253 && subdomain.test(text);
}

/** A label's or annotation's key, or a finalizer: "name", or "dns.prefix/name". */
export function isQualifiedName(text: string): boolean {
  const slash = text.indexOf("/");
  const name = text.slice(slash + 1);
  return (
    (slash < 0 || isDnsSubdomain(text.slice(0, slash))) &&
    name.length > 0 &&
    name.length <= 63 &&
    word.test(name)
  );
}

/** A label's value: at most 63 letters, digits, '-', '_' and '.', or nothing. */
export function isLabelValue(text: string): boolean {
  return text === "" || (text.length <= 63 && word.test(text));
}

/** Everything wrong with the parts of metadata that callers write. `group` matters: RBAC names may hold colons. Pure. */
export function metaProblems(group: string, meta: Partial<ObjectMeta>): Problem[] {
  const problems: Problem[] = [];
  const wrong = (field: string, message: string) => problems.push({ field: `metadata.${field}`, message });

  const name = meta.name ?? "";
  const nameFits =
    group === "rbac.authorization.k8s.io" ? /^(?!\.{1,2}$)[^/%]+$/.test(name) : isDnsSubdomain(name);
  if (!nameFits) {
    wrong("name", `"${name}" must be lower case letters, digits, '-' and '.', starting and ending with one`);
  }
  if (meta.namespace !== undefined && !isDnsLabel(meta.namespace)) {
    wrong("namespace", `"${meta.namespace}" must be at most 63 lower case letters, digits and '-'`);
  }
  for (const [key, value] of Object.entries(meta.labels ?? {})) {
    if (!isQualifiedName(key)) wrong(`labels.${key}`, `"${key}" is not a label's name`);
    if (typeof value !== "string" || !isLabelValue(value)) {
      wrong(
        `labels.${key}`,
        `"${String(value)}" must be at most 63 letters, digits, '-', '_' and '.', or empty`,
      );
    }
  }
  for (const [key, value] of Object.entries(meta.annotations ?? {})) {
    if (!isQualifiedName(key.toLowerCase()))
      wrong(`annotations.${key}`, `"${key}" is not an annotation's name`);
    if (typeof value !== "string") wrong(`annotations.${key}`, "must be text");
  }
  for (const finalizer of meta.finalizers ?? []) {
    if (!isQualifiedName(finalizer)) wrong("finalizers", `"${finalizer}" is not a finalizer's name`);
  }
  for (const [index, owner] of (meta.ownerReferences ?? []).entries()) {
    for (const part of ["apiVersion", "kind", "name", "uid"] as const) {
      if (!owner[part]) wrong(`ownerReferences[${index}].${part}`, "is required");
    }
  }
  if ((meta.ownerReferences ?? []).filter((owner) => owner.controller).length > 1) {
    wrong("ownerReferences", "only one owner may be the controller");
  }
  return problems;
}
