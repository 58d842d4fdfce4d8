// Machines as status tells of them, from Cluster API's objects. Pure; Jet uses it before the pivot, the agent after it.
import type { Resource } from "#core";
import type { MachineStatus } from "../kinds/spa.ts";
import { conditionsOf } from "../contract.ts";
import { words } from "./names.ts";

const controlPlaneLabel = "cluster.x-k8s.io/control-plane";

/** One entry a Machine, control planes first, by name. */
export function machineStatuses(objects: readonly Resource[]): MachineStatus[] {
  const vms = new Map(objects.filter((o) => o.kind === "VSphereVM").map((o) => [o.metadata.name, o]));
  return objects
    .filter((o) => o.kind === "Machine")
    .map((machine) => statusOf(machine, vms.get(infrastructureName(machine))))
    .sort((a, b) => a.role.localeCompare(b.role) || a.name.localeCompare(b.name));
}

function infrastructureName(machine: Resource): string {
  const spec = machine.spec as { infrastructureRef?: { name?: string } } | undefined;
  return spec?.infrastructureRef?.name ?? machine.metadata.name;
}

function statusOf(machine: Resource, vm: Resource | undefined): MachineStatus {
  const labels = machine.metadata.labels ?? {};
  const status = (machine.status ?? {}) as {
    phase?: string;
    addresses?: { type: string; address: string }[];
  };
  const vmStatus = (vm?.status ?? {}) as { addresses?: string[]; host?: string };
  const { biosUUID } = (vm?.spec ?? {}) as { biosUUID?: string };
  const ip =
    vmStatus.addresses?.[0] ??
    status.addresses?.find((a) => a.type === "InternalIP" || a.type === "ExternalIP")?.address;
  const ready = conditionsOf(machine).find((c) => c.type === "Ready");
  return {
    name: machine.metadata.name,
    role: labels[controlPlaneLabel] === undefined ? "worker" : "control-plane",
    ...(labels[words.pool] ? { pool: labels[words.pool] } : {}),
    ...(ip ? { ip } : {}),
    ...(vmStatus.host ? { host: vmStatus.host } : {}),
    ...(biosUUID ? { biosUUID } : {}),
    phase: machine.metadata.deletionTimestamp ? "Deleting" : (status.phase ?? "Pending"),
    ...(ready && ready.status !== "True" ? { reason: ready.reason } : {}),
  };
}
