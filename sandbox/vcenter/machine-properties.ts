// A virtual machine as vCenter shows it: configuration, devices, guest, snapshots.
import type { Ref } from "#vsphere";
import type { PropertyGetters, Write } from "#vsphere/soap/types.ts";
import { refOf } from "./machines.ts";
import type { Card, MachineEntity } from "./entities.ts";
import type { World } from "./world.ts";

export function machineProperties(world: World, vm: MachineEntity): PropertyGetters<"VirtualMachine"> {
  const ref = refOf(vm);
  const pool = (): Ref | undefined =>
    vm.pool === undefined ? undefined : { type: "ResourcePool", value: vm.pool };
  return {
    config: () => config(world, vm),
    resourcePool: pool,
    runtime: () => runtime(world, vm),
    guest: () => guest(world, vm),
    summary: () => ({
      vm: ref,
      runtime: runtime(world, vm),
      guest: guestSummary(vm),
      config: configSummary(world, vm),
      overallStatus: "green",
    }),
    datastore: () => [{ type: "Datastore", value: vm.datastore }],
    network: () =>
      [...new Set(vm.cards.flatMap((card) => card.network ?? []))].flatMap((id) => {
        const network = world.get(id);
        return network ? [refOf(network)] : [];
      }),
    snapshot: () => snapshots(vm),
    rootSnapshot: () =>
      vm.snapshots.slice(0, 1).map(({ id }) => ({ type: "VirtualMachineSnapshot", value: id })),
    guestHeartbeatStatus: () => (vm.guest.tools ? "green" : "gray"),
    environmentBrowser: () => ({ type: "EnvironmentBrowser", value: `envbrowser-${vm.id}` }),
  };
}

function file(world: World, vm: MachineEntity, extension: string): string {
  return `[${world.get(vm.datastore)?.name ?? "gone"}] ${vm.name}/${vm.name}.${extension}`;
}

function config(world: World, vm: MachineEntity): Write<"VirtualMachineConfigInfo"> {
  return {
    changeVersion: String(vm.changes),
    modified: new Date(vm.bootedMs ?? 0).toISOString(),
    name: vm.name,
    guestFullName: vm.guestId,
    version: vm.version,
    uuid: vm.uuid,
    instanceUuid: vm.instanceUuid,
    template: vm.template,
    guestId: vm.guestId,
    annotation: vm.annotation,
    files: { vmPathName: file(world, vm, "vmx") },
    hardware: {
      numCPU: vm.numCPUs,
      numCoresPerSocket: 1,
      memoryMB: vm.memoryMB,
      device: devices(world, vm),
    },
    extraConfig: Object.entries(vm.extraConfig).map(([key, value]) => ({ key, value })),
    firmware: "bios",
  };
}

function devices(world: World, vm: MachineEntity): Write<"VirtualDevice">[] {
  return [
    { $type: "VirtualIDEController", key: 200, deviceInfo: label("IDE 0"), busNumber: 0, device: [] },
    {
      $type: "VirtualPCIController",
      key: 100,
      deviceInfo: label("PCI controller 0"),
      busNumber: 0,
      device: vm.cards.map((card) => card.key),
    },
    {
      $type: "ParaVirtualSCSIController",
      key: 1000,
      deviceInfo: label("SCSI controller 0"),
      busNumber: 0,
      controllerKey: 100,
      unitNumber: 3,
      device: vm.disks.map((disk) => disk.key),
      hotAddRemove: true,
      sharedBus: "noSharing",
      scsiCtlrUnitNumber: 7,
    },
    ...vm.disks.map((disk, index): Write<"VirtualDevice"> => ({
      $type: "VirtualDisk",
      key: disk.key,
      deviceInfo: { label: `Hard disk ${index + 1}`, summary: `${disk.capacityKB} KB` },
      backing: {
        $type: "VirtualDiskFlatVer2BackingInfo",
        fileName: file(world, vm, index === 0 ? "vmdk" : `${index}.vmdk`),
        datastore: { type: "Datastore", value: vm.datastore },
        diskMode: "persistent",
        thinProvisioned: true,
      },
      controllerKey: 1000,
      unitNumber: index,
      capacityInKB: disk.capacityKB,
      capacityInBytes: disk.capacityKB * 1024,
    })),
    ...vm.cards.map((card, index) => cardDevice(world, vm, card, index)),
  ];
}

function label(text: string): Write<"Description"> {
  return { label: text, summary: text };
}

function cardDevice(world: World, vm: MachineEntity, card: Card, index: number): Write<"VirtualDevice"> {
  const name = (card.network && world.get(card.network)?.name) ?? "";
  return {
    $type: card.model as "VirtualVmxnet3",
    key: card.key,
    deviceInfo: { label: `Network adapter ${index + 1}`, summary: name },
    backing: backing(world, card),
    connectable: {
      startConnected: true,
      allowGuestControl: true,
      connected: vm.power === "poweredOn",
      status: "ok",
    },
    controllerKey: 100,
    unitNumber: 7 + index,
    addressType: "assigned",
    macAddress: card.mac,
    wakeOnLanEnabled: true,
  };
}

function backing(world: World, card: Card): Write<"VirtualDeviceBackingInfo"> | undefined {
  const network = world.as(card.network, "Network", "DistributedVirtualPortgroup");
  if (!network) return undefined;
  if (network.type === "Network")
    return {
      $type: "VirtualEthernetCardNetworkBackingInfo",
      deviceName: network.name,
      network: refOf(network),
    };
  const switchUuid = world.as(network.switch, "VmwareDistributedVirtualSwitch")?.uuid ?? "";
  return {
    $type: "VirtualEthernetCardDistributedVirtualPortBackingInfo",
    port: { switchUuid, portgroupKey: network.id },
  };
}

function runtime(world: World, vm: MachineEntity): Write<"VirtualMachineRuntimeInfo"> {
  const host = world.as(vm.host, "HostSystem");
  return {
    ...(host ? { host: refOf(host) } : {}),
    connectionState: host?.connected === false ? "disconnected" : "connected",
    powerState: vm.power,
    toolsInstallerMounted: false,
    bootTime: vm.bootedMs === undefined ? undefined : new Date(vm.bootedMs).toISOString(),
    maxCpuUsage: vm.numCPUs * 2400,
    maxMemoryUsage: vm.memoryMB,
  };
}

function guest(world: World, vm: MachineEntity): Write<"GuestInfo"> {
  const { tools, hostName, addresses = {} } = vm.guest;
  return {
    toolsStatus: tools ? "toolsOk" : "toolsNotRunning",
    toolsVersionStatus2: "guestToolsUnmanaged",
    toolsRunningStatus: tools ? "guestToolsRunning" : "guestToolsNotRunning",
    guestId: vm.guestId,
    hostName,
    ipAddress: vm.guest.ipAddress,
    guestState: tools ? "running" : "notRunning",
    guestOperationsReady: tools,
    net: tools
      ? vm.cards.map((card) => ({
          network: (card.network && world.get(card.network)?.name) ?? "",
          ipAddress: addresses[card.mac] ?? [],
          macAddress: card.mac,
          connected: true,
          deviceConfigId: card.key,
        }))
      : [],
  };
}

function guestSummary(vm: MachineEntity): Write<"VirtualMachineGuestSummary"> {
  const { tools, hostName, ipAddress } = vm.guest;
  return {
    guestId: vm.guestId,
    toolsStatus: tools ? "toolsOk" : "toolsNotRunning",
    toolsRunningStatus: tools ? "guestToolsRunning" : "guestToolsNotRunning",
    hostName,
    ipAddress,
  };
}

function configSummary(world: World, vm: MachineEntity): Write<"VirtualMachineConfigSummary"> {
  return {
    name: vm.name,
    template: vm.template,
    vmPathName: file(world, vm, "vmx"),
    memorySizeMB: vm.memoryMB,
    numCpu: vm.numCPUs,
    numEthernetCards: vm.cards.length,
    numVirtualDisks: vm.disks.length,
    uuid: vm.uuid,
    instanceUuid: vm.instanceUuid,
    guestId: vm.guestId,
    guestFullName: vm.guestId,
    annotation: vm.annotation,
  };
}

/** A chain: each snapshot is the child of the one before. */
function snapshots(vm: MachineEntity): Write<"VirtualMachineSnapshotInfo"> | undefined {
  const last = vm.snapshots.at(-1);
  if (!last) return undefined;
  const chain = vm.snapshots.reduceRight<Write<"VirtualMachineSnapshotTree">[]>(
    (childSnapshotList, { id, name, description, createdMs }, index) => [
      {
        snapshot: { type: "VirtualMachineSnapshot", value: id },
        vm: refOf(vm),
        name,
        description,
        id: index + 1,
        createTime: new Date(createdMs).toISOString(),
        state: "poweredOff",
        quiesced: false,
        childSnapshotList,
      },
    ],
    [],
  );
  return { currentSnapshot: { type: "VirtualMachineSnapshot", value: last.id }, rootSnapshotList: chain };
}
