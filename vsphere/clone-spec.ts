// The specification of a clone: where it goes, from what, and how its hardware and settings differ from the source's.
import { Fault } from "#core";
import { isCard, type Devices } from "./cards.ts";
import { readObjects } from "./collector.ts";
import { networkBacking } from "./network-backing.ts";
import type { Session } from "./session.ts";
import type { Ref, Write } from "./soap/types.ts";

type ConfigSpec = Write<"VirtualMachineConfigSpec">;
type DeviceChange = Write<"VirtualDeviceConfigSpec">;

export interface CloneRequest {
  readonly name: string;
  /** A template or a machine. */
  readonly source: Ref;
  readonly folder: Ref;
  readonly pool: Ref;
  /** Where the disks go; the source's datastore when absent. */
  readonly datastore?: Ref;
  /** False unless told. */
  readonly powerOn?: boolean;
  /** "linked" needs a snapshot of the source and falls back to "full" without one. "full" unless told. */
  readonly mode?: "full" | "linked";
  readonly numCPUs?: number;
  readonly memoryMB?: number;
  /** Grows the first disk to this; never shrinks it. */
  readonly diskGiB?: number;
  /** One vmxnet3 card for each, in place of the source's cards; absent keeps those. */
  readonly networks?: readonly (Ref | CardRequest)[];
  /** The clone's instance UUID: how it is found again when the answer was lost. vCenter's choice when absent. */
  readonly instanceUuid?: string;
  /** guestinfo.* and other settings. Values may be secrets: they are never logged. */
  readonly extraConfig?: Readonly<Record<string, string>>;
  readonly annotation?: string;
}

export interface CardRequest {
  readonly network: Ref;
  /** A fixed MAC address; generated when absent. */
  readonly mac?: string;
}

export interface Reconfiguration {
  readonly numCPUs?: number;
  readonly memoryMB?: number;
  /** An empty value removes the key. */
  readonly extraConfig?: Readonly<Record<string, string>>;
  readonly annotation?: string;
}

/** What a machine is and how it stands. */

/** What a reconfiguration says. Pure. */
export function configSpec(change: Reconfiguration): ConfigSpec {
  const { numCPUs, memoryMB, annotation, extraConfig } = change;
  return {
    numCPUs,
    memoryMB,
    annotation,
    extraConfig: Object.entries(extraConfig ?? {}).map(([key, value]) => ({
      $type: "OptionValue",
      key,
      value,
    })),
  };
}

/** Reads what the clone must know of its source, and says the whole clone in one specification. */
export async function cloneSpec(
  session: Session,
  request: CloneRequest,
  signal: AbortSignal | undefined,
): Promise<Write<"VirtualMachineCloneSpec">> {
  const paths = ["config.hardware.device", "snapshot.currentSnapshot", "name"] as const;
  const [source] = await readObjects(session, "VirtualMachine", [request.source], paths, signal);
  if (!source)
    throw new Fault("NotFound", `cloning '${request.name}': the template ${request.source.value} is gone`);
  const snapshot = request.mode === "linked" ? source.values["snapshot.currentSnapshot"] : undefined;
  const devices = source.values["config.hardware.device"] ?? [];
  const deviceChange = [
    ...(request.networks ? await cardChanges(session, devices, request.networks, signal) : []),
    ...(request.diskGiB === undefined ? [] : diskChange(devices, request.diskGiB)),
  ];
  return {
    location: {
      pool: request.pool,
      datastore: request.datastore,
      diskMoveType: snapshot ? "createNewChildDiskBacking" : "moveAllDiskBackingsAndConsolidate",
    },
    template: false,
    powerOn: request.powerOn ?? false,
    snapshot,
    config: {
      ...configSpec(request),
      instanceUuid: request.instanceUuid,
      ...(deviceChange.length > 0 ? { deviceChange } : {}),
    },
  };
}

/** The source's cards go, new ones come: an edited card would keep what the template's author once set. */
async function cardChanges(
  session: Session,
  devices: Devices,
  networks: readonly (Ref | CardRequest)[],
  signal: AbortSignal | undefined,
): Promise<DeviceChange[]> {
  const removed = devices.filter(isCard).map((device): DeviceChange => ({ operation: "remove", device }));
  const added = await Promise.all(
    networks.map(async (each, index): Promise<DeviceChange> => {
      const { network, mac } = "network" in each ? each : { network: each, mac: undefined };
      return {
        operation: "add",
        device: {
          $type: "VirtualVmxnet3",
          key: -(index + 1),
          backing: await networkBacking(session, network, signal),
          connectable: { startConnected: true, allowGuestControl: true, connected: true },
          addressType: mac === undefined ? "generated" : "manual",
          macAddress: mac,
        },
      };
    }),
  );
  return [...removed, ...added];
}

function diskChange(devices: Devices, diskGiB: number): DeviceChange[] {
  const disk = devices.find((device) => device.$type === "VirtualDisk");
  const wantedKB = diskGiB * 1024 * 1024;
  if (!disk || disk.$type !== "VirtualDisk" || disk.capacityInKB >= wantedKB) return [];
  const { deviceInfo: _, ...rest } = disk;
  return [
    { operation: "edit", device: { ...rest, capacityInKB: wantedKB, capacityInBytes: wantedKB * 1024 } },
  ];
}
