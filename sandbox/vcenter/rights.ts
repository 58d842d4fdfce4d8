// Who may do what: accounts with passwords, and grants of privileges on inventory paths.
import { timingSafeEqual } from "node:crypto";
import type { Secret } from "#core";
import type { Ref } from "#vsphere";
import { denied } from "./fault.ts";
import type { World } from "./world.ts";

/** Privileges on one inventory path ("/" is the root), and below it when they propagate. */
export interface Grant {
  readonly path: string;
  readonly propagate: boolean;
  readonly privileges: readonly string[];
}

interface Account {
  password: Secret;
  readonly grants: "all" | readonly Grant[];
}

/** Every privilege that anybody may ask about. */
export const allPrivileges: readonly string[] = [
  "Cns.Searchable",
  "Datastore.AllocateSpace",
  "Datastore.Browse",
  "Datastore.DeleteFile",
  "Datastore.FileManagement",
  "Folder.Create",
  "Folder.Delete",
  "Host.Config.Storage",
  "Host.Inventory.EditCluster",
  "InventoryService.Tagging.AttachTag",
  "InventoryService.Tagging.CreateTag",
  "InventoryService.Tagging.EditTag",
  "Network.Assign",
  "Resource.ApplyRecommendation",
  "Resource.AssignVMToPool",
  "Sessions.ValidateSession",
  "StorageProfile.View",
  "StorageViews.View",
  "System.Anonymous",
  "System.Read",
  "System.View",
  "VApp.Import",
  "VirtualMachine.Config.AddExistingDisk",
  "VirtualMachine.Config.AddNewDisk",
  "VirtualMachine.Config.AddRemoveDevice",
  "VirtualMachine.Config.AdvancedConfig",
  "VirtualMachine.Config.CPUCount",
  "VirtualMachine.Config.DiskExtend",
  "VirtualMachine.Config.EditDevice",
  "VirtualMachine.Config.Memory",
  "VirtualMachine.Config.RawDevice",
  "VirtualMachine.Config.RemoveDisk",
  "VirtualMachine.Config.Resource",
  "VirtualMachine.Config.Settings",
  "VirtualMachine.Config.UpgradeVirtualHardware",
  "VirtualMachine.Interact.PowerOff",
  "VirtualMachine.Interact.PowerOn",
  "VirtualMachine.Inventory.Create",
  "VirtualMachine.Inventory.CreateFromExisting",
  "VirtualMachine.Inventory.Delete",
  "VirtualMachine.Inventory.Move",
  "VirtualMachine.Provisioning.Clone",
  "VirtualMachine.Provisioning.DeployTemplate",
  "VirtualMachine.Provisioning.MarkAsTemplate",
  "VirtualMachine.Provisioning.MarkAsVM",
  "VirtualMachine.State.CreateSnapshot",
  "VirtualMachine.State.RemoveSnapshot",
];

export class Rights {
  readonly #world: World;
  readonly #accounts = new Map<string, Account>();

  constructor(world: World) {
    this.#world = world;
  }

  set(username: string, password: Secret, grants: "all" | readonly Grant[]): void {
    this.#accounts.set(username, { password, grants });
  }

  setPassword(username: string, password: Secret): void {
    const account = this.#accounts.get(username);
    if (account) account.password = password;
  }

  accepts(username: string, password: string): boolean {
    const expected = this.#accounts.get(username)?.password.reveal();
    return expected !== undefined && sameText(expected, password);
  }

  knows(username: string): boolean {
    return this.#accounts.has(username);
  }

  /** What `username` may do on an entity. Without any grant there: nothing, and the entity is invisible. */
  on(username: string, id: string): ReadonlySet<string> {
    const grants = this.#accounts.get(username)?.grants ?? [];
    if (grants === "all") return everything;
    const path = this.#world.path(id);
    const fitting = grants.filter(
      (grant) => grant.path === path || (grant.propagate && isBelow(path, grant.path)),
    );
    if (fitting.length === 0) return nothing;
    return new Set([...implied, ...fitting.flatMap((grant) => grant.privileges)]);
  }

  sees(username: string, id: string): boolean {
    const grants = this.#accounts.get(username)?.grants ?? [];
    return grants === "all" || this.on(username, id).size > 0;
  }

  /** Throws NoPermission, naming privilege and object, unless `username` holds it there. */
  demand(username: string, privilege: string, ref: Ref): void {
    if (!this.on(username, ref.value).has(privilege)) throw denied(ref, privilege);
  }
}

const everything: ReadonlySet<string> = new Set(allPrivileges);
const nothing: ReadonlySet<string> = new Set();
/** Every role contains these. */
const implied = ["System.Anonymous", "System.Read", "System.View"];

function isBelow(path: string, above: string): boolean {
  return above === "/" || path.startsWith(`${above}/`);
}

function sameText(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
