// The end of every way down: addresses, secrets, the namespace, the word to the plane. Pure.
import { isDeleting, type Kind, type Resource } from "#core";
import { inClusterIPPool, ipAddressClaim, namespace, secret, zoneKinds } from "#proto";
import type { SpaSeen } from "../seen.ts";
import { heldTrouble } from "./blockers.ts";
import type { DeletionView, Open, Part } from "./part.ts";
import { unverified } from "./unverified.ts";

export const endingParts: readonly Part[] = [
  { milestone: "ResourcesReleased", look: release },
  { milestone: "ResourcesReleased", look: finish },
];

/** X2: VMs that nobody could count may still have the addresses. */
function release(seen: SpaSeen, view: DeletionView): Open | undefined {
  const claims = unverified(seen, view).length > 0 ? [] : seen.leaseClaims;
  const zones = [...(seen.zones?.gateway ?? [])].reverse(); // CAPV keeps a domain while a zone refers to it
  const left: readonly (readonly [Kind, Resource])[] = [
    ...seen.childPools.map((pool) => [inClusterIPPool, pool] as const),
    ...claims.map((claim) => [ipAddressClaim, claim] as const),
    ...zones.flatMap((zone) => zoneKinds.filter((k) => k.kind === zone.kind).map((k) => [k, zone] as const)),
  ];
  if (left.length === 0) return undefined;
  if (view.memory.provedAt !== undefined && !seen.spa.status?.deletion?.provedAt)
    return { message: "no VM is left" }; // written down before it is acted on: vCenter may be silent in the next round
  const actions = left
    .filter(([, object]) => !isDeleting(object))
    .map(([kind, object]) => ({ do: "delete" as const, kind, ...at(object) }));
  const trouble = heldTrouble(
    seen,
    left.map(([, object]) => object),
    view,
  );
  return { actions, ...(trouble ? { trouble } : {}), message: `giving ${claims.length} addresses back` };
}

function at({ metadata }: Resource) {
  return { name: metadata.name, ...(metadata.namespace ? { namespace: metadata.namespace } : {}) };
}

/** What bears a secret goes before the namespace, the credential last of all. */
export function finish(seen: SpaSeen, view: DeletionView): Open | undefined {
  const ns = seen.names.namespace;
  const held = seen.leaseClaims.some((claim) => claim.metadata.namespace === ns); // an orphan's, on a global pool
  const others = seen.secrets.filter((name) => name !== seen.names.identity);
  return {
    actions: [
      ...[...others, seen.names.identity].map((name) => ({
        do: "delete" as const,
        kind: secret,
        namespace: ns,
        name,
      })),
      {
        do: "say deleted",
        left: unverified(seen, view),
        ...(view.memory.why ? { why: view.memory.why } : {}),
      },
      ...(held ? [] : [{ do: "delete" as const, kind: namespace, name: ns }]),
      { do: "remove finalizer" },
    ],
    message: held ? "leaving the namespace to the leases in it" : "removing the namespace",
  };
}
