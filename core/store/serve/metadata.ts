// The types of an object's metadata, checked before anything looks at it: bodies come from outside. Pure.
// What names, labels and finalizers may say is the store's affair; here is only whether they are text where text belongs.
import { isMembers } from "./patch.ts";

type Check = (value: unknown) => boolean;

const text: Check = (value) => typeof value === "string";
const number: Check = (value) => typeof value === "number";
const texts: Check = (value) => isMembers(value) && Object.values(value).every(text);
const list =
  (item: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(item);

const owner: Check = (value) =>
  isMembers(value) &&
  ["apiVersion", "kind", "name", "uid"].every((part) => value[part] === undefined || text(value[part])) &&
  ["controller", "blockOwnerDeletion"].every(
    (part) => value[part] === undefined || typeof value[part] === "boolean",
  );

const parts: Readonly<Record<string, readonly [Check, string]>> = {
  name: [text, "string"],
  generateName: [text, "string"],
  namespace: [text, "string"],
  uid: [text, "string"],
  resourceVersion: [text, "string"],
  creationTimestamp: [text, "Time"],
  deletionTimestamp: [text, "Time"],
  generation: [number, "int64"],
  deletionGracePeriodSeconds: [number, "int64"],
  labels: [texts, "map of string"],
  annotations: [texts, "map of string"],
  finalizers: [list(text), "list of string"],
  ownerReferences: [list(owner), "list of OwnerReference"],
  managedFields: [list(isMembers), "list of ManagedFieldsEntry"],
};

/** The metadata without members that are null, which say nothing; or, as text, the first member of a wrong type. */
export function readMetadata(value: unknown): Record<string, unknown> | string {
  if (value === undefined || value === null) return {};
  if (!isMembers(value)) return "metadata must be an object";
  const present = Object.entries(value).filter(([, member]) => member !== null);
  for (const [name, member] of present) {
    const [check, type] = (Object.hasOwn(parts, name) && parts[name]) || [];
    if (check && !check(member)) return `metadata.${name} must be of type ${type}`;
  }
  return Object.fromEntries(present);
}
