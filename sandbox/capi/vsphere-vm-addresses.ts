// The addresses of a VSphereVM: a claim per device and pool, as CAPV names them, and how the claims stand.
import {
  clusterNameLabel,
  ipAddress,
  ipAddressClaim,
  vsphereVM,
  type Cluster,
  type IPAddressClaim,
  type NetworkDevice,
  type VSphereVM,
} from "#proto";
import type { DeviceAddress, MetadataDevice } from "./cloud-init.ts";
import { aggregate, no, notReported, oldNo, oldYes, part, yes, type OldDraft } from "./conditions.ts";
import { keyIn, type CapiDeps } from "./context.ts";
import { addFinalizer, addOwner, dropFinalizer, edit, ensure } from "./edit.ts";
import { finalizers } from "./names.ts";
import { report, type Said } from "./vsphere-vm-report.ts";
import type { Vm } from "./vm-service.ts";

/** True for a device that somebody else (a static-IP controller) must give its addresses first. */
export function waitsForStaticAddress(device: NetworkDevice): boolean {
  return (
    !device.dhcp4 &&
    !device.dhcp6 &&
    !device.skipIPAllocation &&
    !device.ipAddrs?.length &&
    !device.addressesFromPools?.length
  );
}

/** Addresses by the names of their claims. */
export type Claims = ReadonlyMap<string, DeviceAddress>;

/** A claim per device and pool, and its address; undefined while one of them has none. */
export async function claimAddresses(
  deps: CapiDeps,
  object: VSphereVM,
  cluster: Cluster,
): Promise<Claims | undefined> {
  const wanted = object.spec.network.devices.flatMap((device, d) =>
    (device.addressesFromPools ?? []).map((pool, p) => ({ name: claimName(object, d, p), pool })),
  );
  const { namespace = "" } = object.metadata;
  const addresses = new Map<string, DeviceAddress>();
  const claims: IPAddressClaim[] = [];
  for (const { name, pool } of wanted) {
    const claim = await ensure(deps.store, ipAddressClaim, {
      metadata: {
        name,
        namespace,
        labels: { [clusterNameLabel]: cluster.metadata.name },
        finalizers: [finalizers.claim],
        ownerReferences: [
          {
            apiVersion: object.apiVersion,
            kind: object.kind,
            name: object.metadata.name,
            uid: object.metadata.uid,
          },
        ],
      },
      spec: { poolRef: { apiGroup: pool.apiGroup, kind: pool.kind, name: pool.name } },
    });
    await edit(deps.store, ipAddressClaim, claim, (c) => {
      addFinalizer(c, finalizers.claim);
      addOwner(c, vsphereVM, object);
    });
    claims.push(claim);
    const ref = claim.status?.addressRef?.name;
    const address = ref ? await deps.store.get(ipAddress, { namespace, name: ref }) : undefined;
    if (address) addresses.set(name, address.spec as DeviceAddress);
  }
  await report(deps, object, claimed(claims, addresses.size));
  return addresses.size === wanted.length ? addresses : undefined;
}

export function claimName(object: VSphereVM, device: number, pool: number): string {
  return `${object.metadata.name}-${device}-${pool}`;
}

/** How the claims stand: by their own Ready conditions where every provider writes one, else counted. */
export function claimed(claims: readonly IPAddressClaim[], bound: number): Said {
  if (claims.length === 0) return { drafts: [], old: [] };
  const type = "IPAddressClaimsFulfilled";
  const ready = claims.map((claim) => part(claim.status?.conditions, "Ready", claim.metadata.name));
  if (ready.every((p) => p.reason !== notReported))
    return { drafts: [aggregate(type, ipAddressClaim.kind, ready, reported)], old: oldClaimed(claims) };
  if (bound === claims.length) return { drafts: [yes(type, "Fulfilled")], old: [oldYes("IPAddressClaimed")] };
  const draft = no(type, "WaitingForIPAddress", `${bound}/${claims.length} claims bound`);
  return {
    drafts: [draft],
    old: [oldNo("IPAddressClaimed", "Info", "WaitingForIPAddress", draft.message)],
  };
}

/** The reasons of upstream's own merging, where a condition brings none. */
const reported = {
  yes: "InfoReported",
  no: "IssuesReported",
  unknown: "UnknownReported",
  none: "InfoReported",
};

/** Merged from the older form of the claims' conditions; what was said before stays where no claim has one. */
function oldClaimed(claims: readonly IPAddressClaim[]): OldDraft[] {
  const type = "IPAddressClaimed";
  const seen = claims.flatMap(({ metadata, status }) => {
    const ready = status?.deprecated?.v1beta1?.conditions?.find((c) => c.type === "Ready");
    return ready ? [{ name: metadata.name, ready }] : [];
  });
  if (seen.length === 0) return [];
  const bad = seen.find(({ ready }) => ready.status === "False");
  if (!bad) return [oldYes(type)];
  const { reason = "", severity = "Warning" } = bad.ready;
  const done = seen.filter(({ ready }) => ready.status === "True").length;
  const where = `${reason} @ ${ipAddressClaim.kind}/${bad.name}`;
  return [oldNo(type, severity as "Warning", where, `${done} of ${claims.length} completed`)];
}

export function devicesOf(object: VSphereVM, vm: Vm, claims: Claims): MetadataDevice[] {
  return object.spec.network.devices.map((spec, d) => ({
    spec,
    mac: vm.nics[d]?.mac ?? spec.macAddr ?? "",
    addresses: (spec.addressesFromPools ?? [])
      .map((_, p) => claims.get(claimName(object, d, p)))
      .filter((address) => address !== undefined),
  }));
}

/** Takes the protection off every claim: the VM is gone. */
export async function releaseClaims(deps: CapiDeps, object: VSphereVM): Promise<void> {
  for (const [d, device] of object.spec.network.devices.entries())
    for (const [p] of (device.addressesFromPools ?? []).entries())
      await edit(deps.store, ipAddressClaim, keyIn(object, claimName(object, d, p)), (claim) =>
        dropFinalizer(claim, finalizers.claim),
      );
}
