// The search index: by UUID, by path, by name below an entity, by address.
import type { Ref } from "#vsphere";
import type { Handlers, Inside } from "./call.ts";
import { refOf } from "./machines.ts";
import type { Entity, MachineEntity } from "./entities.ts";

export const searchHandlers = {
  FindByUuid: (call, { uuid, vmSearch, instanceUuid, datacenter }) =>
    vmSearch ? one(call, byUuid(call, uuid, instanceUuid ?? false, datacenter)[0]) : undefined,
  FindAllByUuid: (call, { uuid, vmSearch, instanceUuid, datacenter }) =>
    vmSearch ? byUuid(call, uuid, instanceUuid ?? false, datacenter).map(refOf) : [],
  FindByInventoryPath: (call, { inventoryPath }) => one(call, call.world.byPath(inventoryPath)),
  FindChild: (call, { entity, name }) =>
    one(
      call,
      call.world.children(entity.value).find((child) => child.name === name),
    ),
  FindByIp: (call, { ip, vmSearch }) =>
    vmSearch
      ? one(
          call,
          machines(call).find((vm) => vm.guest.ipAddress === ip),
        )
      : undefined,
  FindByDnsName: (call, { dnsName, vmSearch }) =>
    vmSearch
      ? one(
          call,
          machines(call).find((vm) => vm.guest.hostName === dnsName),
        )
      : undefined,
} satisfies Handlers<Inside>;

function machines({ world }: Inside): MachineEntity[] {
  return world.all("VirtualMachine");
}

function byUuid(call: Inside, uuid: string, instance: boolean, datacenter: Ref | undefined): MachineEntity[] {
  const wanted = uuid.toLowerCase();
  return machines(call).filter(
    (vm) =>
      (instance ? vm.instanceUuid : vm.uuid).toLowerCase() === wanted &&
      call.rights.sees(call.session.username, vm.id) &&
      (!datacenter || call.world.ancestor(vm.id, "Datacenter")?.id === datacenter.value),
  );
}

/** What the account cannot see is not found. */
function one(call: Inside, entity: Entity | undefined): Ref | undefined {
  return entity && call.rights.sees(call.session.username, entity.id) ? refOf(entity) : undefined;
}
