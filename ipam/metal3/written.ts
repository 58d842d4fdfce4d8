// What is written into IPAddresses of a Metal3 pool, and into the status of its claims. Pure.
import { ownerReference, setCondition, type Draft, type OwnerReference } from "#core";
import {
  metal3IPPool,
  type IPAddress,
  type IPAddressClaim,
  type Metal3IPAddress,
  type Metal3IPClaim,
  type Metal3IPPool,
} from "#proto";
import { formatAddress } from "../address.ts";
import { asV1beta1 } from "../claim/report.ts";
import { flavours, type SeenClaim } from "./observe.ts";
import type { Grant, Verdict } from "./plan.ts";
import { addressName } from "./words.ts";

/** The IPAddress as Metal3 writes it; Cluster API's has the owners that its contract asks for. */
export function addressDraft(
  pool: Metal3IPPool,
  claim: SeenClaim,
  { address, range }: Pick<Grant, "address" | "range">,
): Draft<Metal3IPAddress | IPAddress> {
  const { name, namespace, labels } = claim.object.metadata;
  const metadata = {
    name: addressName(pool.spec.namePrefix, address),
    ...(namespace === undefined ? {} : { namespace }),
    ...(labels ? { labels: { ...labels } } : {}),
    finalizers: [flavours[claim.flavour].addressFinalizer],
    ownerReferences: ownersOf(pool, claim),
  };
  const { prefix, gateway, dnsServers } = range;
  const common = { address: formatAddress(address), ...(gateway ? { gateway } : {}) };
  if (claim.flavour === "capi") {
    const { apiGroup, kind, name: poolName } = (claim.object as IPAddressClaim).spec.poolRef;
    return {
      metadata,
      spec: {
        ...common,
        prefix: prefix ?? 0,
        claimRef: { name },
        poolRef: { apiGroup, kind, name: poolName },
      },
    } as Draft<IPAddress>;
  }
  const at = (of: string) => ({ name: of, ...(namespace === undefined ? {} : { namespace }) });
  return {
    metadata,
    spec: {
      ...common,
      claim: at(name),
      pool: at(pool.metadata.name),
      ...(prefix === undefined ? {} : { prefix }),
      ...(dnsServers?.length ? { dnsServers: [...dnsServers] } : {}),
    },
  } as Draft<Metal3IPAddress>;
}

/** Pool, then claim. */
export function ownersOf(pool: Metal3IPPool | undefined, claim: SeenClaim): OwnerReference[] {
  const { claimKind } = flavours[claim.flavour];
  const byContract = claim.flavour === "capi";
  const flags = (controller: boolean) => (byContract ? { controller, blockOwnerDeletion: true } : {});
  return [
    ...(pool ? [ownerReference(metal3IPPool, pool, flags(false))] : []),
    ownerReference(claimKind, claim.object, flags(true)),
  ];
}

export function metal3Status(
  { status }: Metal3IPClaim,
  verdict: Verdict,
): NonNullable<Metal3IPClaim["status"]> {
  const { address: _address, errorMessage: _error, ...rest } = status ?? {};
  if (verdict.kind === "waiting") return { ...rest, errorMessage: verdict.message };
  const { name, namespace } = verdict.address.object.metadata;
  return { ...rest, address: { name, ...(namespace === undefined ? {} : { namespace }) } };
}

export function capiStatus(
  { status }: IPAddressClaim,
  verdict: Verdict,
  now: string,
): NonNullable<IPAddressClaim["status"]> {
  const condition =
    verdict.kind === "bound"
      ? { status: "True" as const, reason: "AddressAllocated", message: "" } // CAPV repeats what claims say
      : { status: "False" as const, reason: verdict.reason, message: verdict.message };
  const conditions = setCondition(status?.conditions, { type: "Ready", ...condition }, now);
  return {
    ...status,
    ...(verdict.kind === "bound" ? { addressRef: { name: verdict.address.object.metadata.name } } : {}),
    conditions,
    deprecated: { v1beta1: { conditions: conditions.map(asV1beta1) } },
  };
}
