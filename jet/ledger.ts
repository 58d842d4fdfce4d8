// The ledger of a cluster: which VMs were ever made for it, and where. It is written while they are made, and read when the objects
// that stood for them are gone. Pure.
//
//   E1. An entry is known by its BIOS UUID; by its name only while it has none. A VM of the same name with another UUID is a stranger's.
//   E2. Nothing is taken out but the oldest when the list is full: a VM that was removed long ago does no harm in it.
import type { Resource } from "#core";
import type { Ledger, MachineStatus, Placement } from "#proto";
import type { VmFacts } from "./ports.ts";

export type LedgerVm = Ledger["vms"][number];

/** About 100 bytes each in a status that stays under 64 KiB. */
const limit = 300;

const controlPlaneLabel = "cluster.x-k8s.io/control-plane";

/** What these objects, and what was told of machines, say was made. */
export function ledgerOf(
  objects: readonly Resource[],
  machines: readonly MachineStatus[],
  placements: readonly Placement[],
): Ledger {
  const byObject = objects
    .filter((object) => object.kind === "VSphereVM")
    .map(({ metadata, spec }) =>
      entry(
        metadata.name,
        (spec as { biosUUID?: string } | undefined)?.biosUUID,
        metadata.labels?.[controlPlaneLabel] !== undefined,
      ),
    );
  const byMachine = machines.map((m) => entry(m.name, m.biosUUID, m.role === "control-plane"));
  const places = placements.map(({ datacenter, folder }) => ({ datacenter, ...(folder ? { folder } : {}) }));
  return mergeLedgers(undefined, { vms: [...byObject, ...byMachine], places });
}

function entry(name: string, biosUUID: string | undefined, controlPlane: boolean): LedgerVm {
  return {
    name,
    ...(biosUUID ? { biosUUID: biosUUID.toLowerCase() } : {}),
    ...(controlPlane ? { controlPlane } : {}),
  };
}

/** Both, each VM once (E1, E2). */
export function mergeLedgers(before: Ledger | undefined, more: Ledger): Ledger {
  const vms = [...(before?.vms ?? [])];
  for (const vm of more.vms) {
    const at = vms.findIndex((known) => isSame(known, vm));
    if (at < 0) vms.push(vm);
    else vms[at] = { ...vms[at], ...vm };
  }
  const places = [...(before?.places ?? [])];
  for (const place of more.places) {
    if (!places.some((p) => p.datacenter === place.datacenter && p.folder === place.folder))
      places.push(place);
  }
  const surplus = Math.max(vms.length - Math.max(limit, more.vms.length), 0);
  const dropped = (before?.dropped ?? 0) + surplus;
  return { vms: vms.slice(surplus), places, ...(dropped > 0 ? { dropped } : {}) };
}

function isSame(known: LedgerVm, vm: LedgerVm): boolean {
  if (known.biosUUID && vm.biosUUID) return known.biosUUID === vm.biosUUID;
  return known.name === vm.name;
}

/** The cluster's addresses, and what the names of its VMs begin with. */
export interface LeasedTo {
  readonly prefix: string;
  readonly addresses: readonly string[];
}

export type Role = "control-plane" | "worker" | "unknown";

/** What a VM is to the cluster; undefined for a stranger's. One that nobody wrote down, but that bears its name and one of its addresses, is its own too. */
export function roleOf(vm: VmFacts, ledger: Ledger, leased: LeasedTo): Role | undefined {
  const uuid = vm.biosUUID.toLowerCase();
  const known =
    ledger.vms.find((one) => one.biosUUID !== undefined && one.biosUUID === uuid) ??
    ledger.vms.find((one) => one.biosUUID === undefined && one.name === vm.name);
  if (known) return known.controlPlane ? "control-plane" : "worker";
  const bearsAddress = vm.ipAddress !== undefined && leased.addresses.includes(vm.ipAddress);
  return bearsAddress && vm.name.startsWith(leased.prefix) ? "unknown" : undefined;
}

/** "c1-cp-x (4200…)". */
export function vmText({ name, biosUUID }: LedgerVm): string {
  return biosUUID ? `${name} (${biosUUID})` : name;
}
