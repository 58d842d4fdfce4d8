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
  ipAddress,
  ipAddressClaim,
  secret as secretKind,
  secretText,
  vsphereVM,
  clusterNameLabel,
  type Cluster,
  type IPAddressClaim,
  type NetworkDevice,
  type VSphereVM,
} from "#proto";
import { renderMetadata, type DeviceAddress, type MetadataDevice } from "./cloud-init.ts";
import {
  aggregate,
  no,
  notReported,
  oldNo,
  oldSummary,
  oldYes,
  part,
  summary,
  withConditions,
  withOldConditions,
  yes,
  type Draft,
  type OldDraft,
} from "./conditions.ts";
import {
  clusterOf,
  hasPausedAnnotation,
  inCluster,
  keyIn,
  now,
  pausedCondition,
  type CapiDeps,
} from "./context.ts";
import { controllerOf, follow, later } from "./controller.ts";
import { addFinalizer, addOwner, dropFinalizer, edit, editStatus, ensure } from "./edit.ts";
import { finalizers } from "./names.ts";
import { infraClusterOf, sessionFor } from "./session.ts";
import type { CloneRequest, Vm, VmService } from "./vm-service.ts";

const order = [
  "Ready",
  "GuestSoftPowerOffSucceeded",
  "IPAddressClaimsFulfilled",
  "VCenterAvailable",
  "VirtualMachineProvisioned",
  "Paused",
];

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

/** What a step adds to status. */
interface Said {
  readonly drafts: readonly Draft[];
  readonly old: readonly OldDraft[];
  readonly facts?: Partial<NonNullable<VSphereVM["status"]>>;
}

async function report(deps: CapiDeps, object: VSphereVM, said: Said): Promise<void> {
  const at = now(deps);
  await editStatus(deps.store, vsphereVM, object, (o) => {
    const { generation } = o.metadata;
    const status = (o.status ??= {});
    Object.assign(status, said.facts);
    status.conditions = withConditions(status.conditions, said.drafts, order, generation, at);
    if (said.old.length === 0) return;
    const parts = ["VirtualMachineProvisioned", "VCenterAvailable", "IPAddressClaimsFulfilled"]
      .filter((type) => status.conditions?.some((c) => c.type === type))
      .map((type) => part(status.conditions, type));
    const ready = summary("Ready", parts);
    status.conditions = withConditions(status.conditions, [ready], order, generation, at);
    const conditions = withOldConditions(status.deprecated?.v1beta1?.conditions, said.old, at);
    const old = oldSummary(
      ["VCenterAvailable", "IPAddressClaimed", "VMProvisioned"].map((type) => {
        const found = conditions.find((c) => c.type === type);
        if (!found) return undefined;
        const { lastTransitionTime: _, ...draft } = found;
        return draft;
      }),
    );
    status.deprecated = { v1beta1: { conditions: withOldConditions(conditions, [old], at) } };
  });
}

function provisioning(
  reason: string,
  oldReason = reason,
  message = "",
  severity: "Info" | "Warning" = "Info",
): Said {
  return {
    drafts: [no("VirtualMachineProvisioned", reason, message)],
    old: [oldNo("VMProvisioned", severity, oldReason, message)],
  };
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

/** V4: whatever vCenter says, we come again. */
function transient(fault: Fault): Fault {
  return fault.code === "Invalid" ? new Fault("Unavailable", fault.message, { cause: fault }) : fault;
}

/** Does one thing with vCenter; a refusal stands in VirtualMachineProvisioned and is thrown. */
async function attempt<T>(
  deps: CapiDeps,
  object: VSphereVM,
  oldReason: string,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const fault = Fault.from(error);
    if (fault.code !== "Cancelled")
      await report(deps, object, provisioning("NotProvisioned", oldReason, fault.message, "Warning"));
    throw transient(fault);
  }
}

/** V1. Undefined right after a clone whose VM cannot be seen yet. */
async function findOrClone(
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

async function findClone(object: VSphereVM, vms: VmService, signal: AbortSignal): Promise<Vm | undefined> {
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

function waitsForStaticAddress(device: NetworkDevice): boolean {
  return (
    !device.dhcp4 &&
    !device.dhcp6 &&
    !device.skipIPAllocation &&
    !device.ipAddrs?.length &&
    !device.addressesFromPools?.length
  );
}

type Claims = ReadonlyMap<string, DeviceAddress>;

/** A claim per device and pool, and its address; undefined while one of them has none. */
async function claimAddresses(
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
  const draft = ready.every((p) => p.reason !== notReported)
    ? aggregate(type, ipAddressClaim.kind, ready, fulfilledWords)
    : bound === claims.length
      ? yes(type, "Fulfilled")
      : no(type, "WaitingForIPAddress", `${bound}/${claims.length} claims bound`);
  const old =
    draft.status === "True"
      ? oldYes("IPAddressClaimed")
      : oldNo("IPAddressClaimed", "Info", "WaitingForIPAddress", draft.message);
  return { drafts: [draft], old: [old] };
}

const fulfilledWords = { yes: "Fulfilled", no: "NotFulfilled", unknown: "NotFulfilled", none: "Fulfilled" };

function devicesOf(object: VSphereVM, vm: Vm, claims: Claims): MetadataDevice[] {
  return object.spec.network.devices.map((spec, d) => ({
    spec,
    mac: vm.nics[d]?.mac ?? spec.macAddr ?? "",
    addresses: (spec.addressesFromPools ?? [])
      .map((_, p) => claims.get(claimName(object, d, p)))
      .filter((address) => address !== undefined),
  }));
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
  for (const [d, device] of object.spec.network.devices.entries())
    for (const [p] of (device.addressesFromPools ?? []).entries())
      await edit(deps.store, ipAddressClaim, keyIn(object, claimName(object, d, p)), (claim) =>
        dropFinalizer(claim, finalizers.claim),
      );
  await edit(deps.store, vsphereVM, object, (o) => dropFinalizer(o, finalizers.vsphereVM));
  return {};
}

function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}
