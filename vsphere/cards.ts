// Network cards of a machine: what the hardware says, joined with what the guest's tools report.
import { isA } from "./soap/table.ts";
import type { Property, Ref } from "./soap/types.ts";

export type Devices = Property<"VirtualMachine", "config.hardware.device">;
type Device = Devices[number];
/** A device that is some kind of Ethernet card. */
export type CardDevice = Extract<Device, { readonly wakeOnLanEnabled?: unknown }>;
type GuestNics = Property<"VirtualMachine", "guest.net">;

/** A network card of a machine. */
export interface MachineCard {
  /** Lower case. */
  readonly mac: string;
  /** Name of the network it is plugged into; empty when that cannot be told. */
  readonly network: string;
  readonly connected: boolean;
  /** As VMware Tools report them; empty while nothing runs. */
  readonly addresses: readonly string[];
}

export function isCard(device: Device): device is CardDevice {
  return isA(device.$type ?? "", "VirtualEthernetCard");
}

/** A network as far as naming a card's plug goes. */
interface NamedNetwork {
  readonly ref: Ref;
  readonly values: { readonly name?: string };
}

/** Pure. */
export function cardsOf(devices: Devices, nics: GuestNics, networks: readonly NamedNetwork[]): MachineCard[] {
  return devices.filter(isCard).map((device) => {
    const mac = device.macAddress?.toLowerCase() ?? "";
    const nic = nics.find((each) => each.macAddress?.toLowerCase() === mac);
    return {
      mac,
      network: networkName(device, networks) ?? nic?.network ?? "",
      connected: device.connectable?.connected ?? nic?.connected ?? false,
      addresses: nic?.ipAddress ?? [],
    };
  });
}

function networkName({ backing }: CardDevice, networks: readonly NamedNetwork[]): string | undefined {
  if (backing?.$type === "VirtualEthernetCardNetworkBackingInfo") return backing.deviceName;
  if (backing?.$type !== "VirtualEthernetCardDistributedVirtualPortBackingInfo") return undefined;
  // A port group's key is the value of its reference.
  return networks.find(({ ref }) => ref.value === backing.port.portgroupKey)?.values.name;
}
