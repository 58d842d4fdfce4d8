// Finding the VM of a VSphereVM, or making it (V1 in vsphere-vm.ts).
import { Fault } from "#core";
import { secret as secretKind, secretText, type VSphereVM } from "#proto";
import { keyIn, type CapiDeps } from "./context.ts";
import { attempt, provisioning, report } from "./vsphere-vm-report.ts";
import type { CloneRequest, Vm, VmService } from "./vm-service.ts";

/** V1. Undefined right after a clone whose VM cannot be seen yet. */
export async function findOrClone(
  deps: CapiDeps,
  object: VSphereVM,
  vms: VmService,
  signal: AbortSignal,
): Promise<Vm | undefined> {
  const { spec } = object;
  if (spec.biosUUID) {
    const vm = await vms.findByBiosUuid(spec.biosUUID, signal);
    if (vm) return vm;
    const message = `vm not found by bios UUID: ${spec.biosUUID}`;
    await report(deps, object, provisioning("NotFoundByBIOSUUID", "NotFoundByBIOSUUID", message, "Warning"));
    throw new Fault("NotFound", message);
  }
  const found = await findClone(object, vms, signal);
  if (found) return found;
  if (!object.status?.conditions?.some((c) => c.type === "VirtualMachineProvisioned"))
    await report(deps, object, provisioning("WaitingForClone", "Cloning"));
  return attempt(deps, object, "CloningFailed", async () => {
    const request = await cloneRequest(deps, object);
    const made = await vms.clone(request, signal);
    const cloneMode = made.snapshot ? "linkedClone" : "fullClone";
    await report(deps, object, {
      drafts: [],
      old: [],
      facts: { cloneMode, ...(made.snapshot ? { snapshot: made.snapshot } : {}) },
    });
    return findClone(object, vms, signal);
  });
}

export async function findClone(
  object: VSphereVM,
  vms: VmService,
  signal: AbortSignal,
): Promise<Vm | undefined> {
  const { datacenter, folder } = object.spec;
  return (
    (await vms.findByInstanceUuid(object.metadata.uid, signal)) ??
    (await vms.findByPath(
      { name: object.metadata.name, ...(datacenter ? { datacenter } : {}), ...(folder ? { folder } : {}) },
      signal,
    ))
  );
}

async function cloneRequest(deps: CapiDeps, object: VSphereVM): Promise<CloneRequest> {
  const { spec } = object;
  const name = spec.bootstrapRef?.name;
  const secret = name ? await deps.store.get(secretKind, keyIn(object, name)) : undefined;
  const userdata = secretText(secret, "value");
  if (name && userdata === undefined) throw new Fault("NotFound", `secrets "${name}" not found`);
  return {
    name: object.metadata.name,
    instanceUuid: object.metadata.uid,
    template: spec.template,
    ...(spec.datacenter ? { datacenter: spec.datacenter } : {}),
    ...(spec.folder ? { folder: spec.folder } : {}),
    ...(spec.resourcePool ? { resourcePool: spec.resourcePool } : {}),
    ...(spec.datastore ? { datastore: spec.datastore } : {}),
    ...(spec.storagePolicyName ? { storagePolicy: spec.storagePolicyName } : {}),
    networks: spec.network.devices.map((device) => ({
      name: device.networkName,
      ...(device.macAddr ? { mac: device.macAddr } : {}),
    })),
    numCPUs: Math.max(spec.numCPUs ?? 2, 2), // CAPV's minimum
    memoryMiB: spec.memoryMiB ?? 2048,
    ...(spec.diskGiB ? { diskGiB: spec.diskGiB } : {}),
    linked: spec.cloneMode !== "fullClone" && spec.diskGiB === undefined,
    extraConfig: {
      ...spec.customVMXKeys,
      ...(userdata === undefined
        ? {}
        : { "guestinfo.userdata": base64(userdata), "guestinfo.userdata.encoding": "base64" }),
    },
  };
}

/** As guestinfo wants it. */
export function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}
