// CAPV's VSphereVM controller: claims addresses, clones powered off, writes metadata, powers on, waits for the guest's address.
//
//   V1. A VM is looked for by BIOS UUID where that is known and never cloned again if it is not found; else by instance UUID (the
//       VSphereVM's uid), else by folder and name. So a lost answer, a restart or a pivot clones nothing twice.
//   V2. It is powered on only when every claim has its address and guestinfo.metadata says so.
//   V3. Claims lose their protection only after vCenter says that the VM is gone.
//   V4. No failure is final: it stands in a condition with CAPV's reason, and the round is repeated with back-off.
import { Fault, isDeleting, type Controller, type Result } from "#core";
import {
  cluster as clusterKind,
  ipAddressClaim,
  vsphereVM,
  type Cluster,
  type IPAddressClaim,
  type VSphereVM,
} from "#proto";
import { renderMetadata } from "./cloud-init.ts";
import { no, oldNo, oldYes, yes } from "./conditions.ts";
import {
  clusterOf,
  hasPausedAnnotation,
  inCluster,
  keyIn,
  pausedCondition,
  type CapiDeps,
} from "./context.ts";
import { controllerOf, follow, later } from "./controller.ts";
import { addFinalizer, dropFinalizer, edit } from "./edit.ts";
import { finalizers } from "./names.ts";
import { infraClusterOf, sessionFor } from "./session.ts";
import { claimAddresses, devicesOf, releaseClaims, waitsForStaticAddress } from "./vsphere-vm-addresses.ts";
import { base64, findClone, findOrClone } from "./vsphere-vm-clone.ts";
import { attempt, provisioning, report, transient } from "./vsphere-vm-report.ts";
import type { Vm, VmService } from "./vm-service.ts";

export function vsphereVmController(deps: CapiDeps): Controller {
  return controllerOf(deps, {
    name: "capv-vspherevm",
    kind: vsphereVM,
    follows: [
      follow(ipAddressClaim, (claim) => ownersOf(claim)),
      follow(clusterKind, inCluster(deps, vsphereVM)),
    ],
    async round(object, signal) {
      const cluster = await clusterOf(deps, object);
      const paused = pausedCondition("VSphereVM", cluster, object);
      if (cluster?.spec.paused || hasPausedAnnotation(object)) {
        await report(deps, object, { drafts: [paused], old: [] });
        return {};
      }
      if (isDeleting(object)) return removeVm(deps, object, cluster, signal);
      if (!cluster) return {};
      await edit(deps.store, vsphereVM, object, (o) => addFinalizer(o, finalizers.vsphereVM));
      await report(deps, object, { drafts: [paused], old: [] });
      return provision(deps, object, cluster, signal);
    },
  });
}

function ownersOf(claim: IPAddressClaim) {
  return (claim.metadata.ownerReferences ?? [])
    .filter((ref) => ref.kind === vsphereVM.kind)
    .map((ref) => keyIn(claim, ref.name));
}

/** One pass through everything a VM needs; stops at the first thing that is not there yet. */
async function provision(
  deps: CapiDeps,
  object: VSphereVM,
  cluster: Cluster,
  signal: AbortSignal,
): Promise<Result> {
  const vms = await connect(deps, object, cluster, signal);
  if (object.spec.network.devices.some(waitsForStaticAddress)) {
    await report(deps, object, provisioning("WaitingForStaticIPAllocation"));
    return {};
  }
  const claims = await claimAddresses(deps, object, cluster);
  const vm = await findOrClone(deps, object, vms, signal);
  if (!vm) return later(deps.knobs.pollMs);
  await edit(deps.store, vsphereVM, object, (o) => (o.spec.biosUUID = vm.biosUuid));
  await report(deps, object, {
    drafts: [],
    old: [],
    facts: { ...networkOf(vm), vmRef: `VirtualMachine:${vm.ref}` },
  });
  if (!claims) {
    const message = "waiting for IP address to be assigned to the VM";
    await report(deps, object, provisioning("WaitingForIPAddress", "WaitingForIPAddress", message));
    return {};
  }
  if (vm.powerState !== "poweredOn") {
    await attempt(deps, object, "PoweringOnFailed", async () => {
      const metadata = base64(renderMetadata(object.metadata.name, devicesOf(object, vm, claims)));
      if (vm.extraConfig["guestinfo.metadata"] !== metadata)
        await vms.reconfigureExtraConfig(
          vm.ref,
          { "guestinfo.metadata": metadata, "guestinfo.metadata.encoding": "base64" },
          signal,
        );
      await vms.powerOn(vm.ref, signal);
    });
    await report(deps, object, provisioning("PoweringOn"));
    return later(0);
  }
  const addresses = vm.nics.flatMap((nic) => nic.addresses);
  const facts = { ...networkOf(vm), ...(vm.host ? { host: vm.host } : {}) };
  if (addresses.length === 0) {
    await report(deps, object, { ...provisioning("WaitingForIPAllocation"), facts });
    return later(deps.knobs.pollMs);
  }
  await report(deps, object, {
    drafts: [yes("VirtualMachineProvisioned", "Provisioned")],
    old: [oldYes("VMProvisioned")],
    facts: { ...facts, addresses, ready: true },
  });
  return later(deps.knobs.healthMs);
}

/** Logs in and says so; a failure stands in VCenterAvailable and is thrown. */
async function connect(
  deps: CapiDeps,
  object: VSphereVM,
  cluster: Cluster,
  signal: AbortSignal,
): Promise<VmService> {
  try {
    const infra = await infraClusterOf(deps, cluster);
    if (!infra) throw new Fault("NotFound", "the VSphereCluster does not exist");
    const vms = await sessionFor(deps, infra, signal);
    await report(deps, object, {
      drafts: [yes("VCenterAvailable", "Available")],
      old: [oldYes("VCenterAvailable")],
    });
    return vms;
  } catch (error) {
    const fault = Fault.from(error);
    if (fault.code !== "Cancelled")
      await report(deps, object, {
        drafts: [no("VCenterAvailable", "VCenterUnreachable", fault.message)],
        old: [oldNo("VCenterAvailable", "Error", "VCenterUnreachable", fault.message)],
      });
    throw transient(fault);
  }
}

function networkOf(vm: Vm) {
  return {
    network: vm.nics.map((nic) => ({
      connected: nic.connected,
      ...(nic.addresses.length > 0 ? { ipAddrs: [...nic.addresses] } : {}),
      macAddr: nic.mac,
      networkName: nic.network,
    })),
  };
}

/** V3. */
async function removeVm(
  deps: CapiDeps,
  object: VSphereVM,
  cluster: Cluster | undefined,
  signal: AbortSignal,
): Promise<Result> {
  if (!cluster) throw new Fault("NotFound", "the Cluster of a VSphereVM is gone before it");
  const vms = await connect(deps, object, cluster, signal);
  await report(deps, object, {
    drafts: [no("VirtualMachineProvisioned", "Deleting")],
    old: [oldNo("VMProvisioned", "Info", "Deleting")],
  });
  const vm = object.spec.biosUUID
    ? await vms.findByBiosUuid(object.spec.biosUUID, signal)
    : await findClone(object, vms, signal);
  if (vm) {
    await attempt(deps, object, "TaskFailure", async () => {
      if (vm.powerState === "poweredOn") await vms.powerOff(vm.ref, signal);
      await vms.destroy(vm.ref, signal);
    });
    return later(0);
  }
  await releaseClaims(deps, object);
  await edit(deps.store, vsphereVM, object, (o) => dropFinalizer(o, finalizers.vsphereVM));
  return {};
}
