// Status that upstream writes only once and would miss: what was initialised, which Node and which address belong to what. Pure.
import type { Kind, Resource } from "#core";
import { cluster, ipAddressClaim, kubeadmControlPlane, machine } from "#proto";

const parts = new Map<Kind, readonly string[]>([
  [cluster, ["initialization"]],
  [kubeadmControlPlane, ["initialization", "lastRemediation"]],
  [machine, ["initialization", "nodeRef"]],
  [ipAddressClaim, ["addressRef"]],
]);

/** The part of an object's status that moves with it; undefined when there is none. */
export function carriedStatus(kind: Kind, object: Resource): Record<string, unknown> | undefined {
  const status = (object.status ?? {}) as Record<string, unknown>;
  const carried = (parts.get(kind) ?? []).filter((part) => status[part] !== undefined);
  return carried.length > 0 ? Object.fromEntries(carried.map((part) => [part, status[part]])) : undefined;
}

/** The copy with the original's carried status; undefined when it has it all. What the copy says itself stays. */
export function withCarriedStatus(kind: Kind, copy: Resource, original: Resource): Resource | undefined {
  const carried = carriedStatus(kind, original) ?? {};
  const status = (copy.status ?? {}) as Record<string, unknown>;
  const lacking = Object.entries(carried).filter(([part]) => status[part] === undefined);
  return lacking.length > 0 ? { ...copy, status: { ...status, ...Object.fromEntries(lacking) } } : undefined;
}
