// Which rights the account lacks, object by object, asked of vCenter itself (FetchUserPrivilegeOnEntities), before work stops
// halfway. The list follows the calls that Cluster API's vSphere provider and this gateway make.
import { isFault } from "#core";
import type { Session } from "./session.ts";
import type { Ref } from "./soap/types.ts";

export type PrivilegeRole =
  "root" | "datacenter" | "cluster" | "pool" | "datastore" | "network" | "folder" | "template";

export interface PrivilegeTarget {
  readonly role: PrivilegeRole;
  readonly ref: Ref;
  /** How a person knows it: a full inventory path. */
  readonly path: string;
}

/** What one object lacks. */
export interface PrivilegeGap extends PrivilegeTarget {
  readonly missing: readonly string[];
  /** What to do, one sentence. */
  readonly remedy: string;
}

const changeVm = [
  "VirtualMachine.Config.AddExistingDisk",
  "VirtualMachine.Config.AddNewDisk",
  "VirtualMachine.Config.AddRemoveDevice",
  "VirtualMachine.Config.AdvancedConfig",
  "VirtualMachine.Config.CPUCount",
  "VirtualMachine.Config.DiskExtend",
  "VirtualMachine.Config.EditDevice",
  "VirtualMachine.Config.Memory",
  "VirtualMachine.Config.RemoveDisk",
  "VirtualMachine.Config.Resource",
  "VirtualMachine.Config.Settings",
  "VirtualMachine.Config.UpgradeVirtualHardware",
];

/** What each kind of object needs. */
export const neededPrivileges: Readonly<Record<PrivilegeRole, readonly string[]>> = {
  root: ["Sessions.ValidateSession", "InventoryService.Tagging.AttachTag"],
  datacenter: ["System.Read"],
  cluster: ["System.Read"],
  pool: ["Resource.AssignVMToPool", "Resource.ApplyRecommendation"],
  datastore: ["Datastore.AllocateSpace", "Datastore.Browse"],
  network: ["Network.Assign"],
  folder: [
    "VirtualMachine.Inventory.Create",
    "VirtualMachine.Inventory.CreateFromExisting",
    "VirtualMachine.Inventory.Delete",
    "VirtualMachine.Interact.PowerOn",
    "VirtualMachine.Interact.PowerOff",
    ...changeVm,
  ],
  template: [
    "VirtualMachine.Provisioning.DeployTemplate",
    "VirtualMachine.Provisioning.Clone",
    "VirtualMachine.State.CreateSnapshot",
  ],
};

/** Compares what is granted with what is needed. An object the account cannot see at all lacks everything. */
export async function missingPrivileges(
  session: Session,
  targets: readonly PrivilegeTarget[],
  signal?: AbortSignal,
): Promise<readonly PrivilegeGap[]> {
  const { authorizationManager } = await session.content(signal);
  const gaps = await Promise.all(
    targets.map(async (target) => {
      const granted = await grantedOn(session, authorizationManager!, target.ref, signal);
      return gapOf(target, granted, session.username);
    }),
  );
  return gaps.filter((gap) => gap !== undefined);
}

async function grantedOn(
  session: Session,
  manager: Ref,
  entity: Ref,
  signal: AbortSignal | undefined,
): Promise<ReadonlySet<string>> {
  try {
    const [answer] = await session.call(
      manager,
      "FetchUserPrivilegeOnEntities",
      { entities: [entity], userName: await session.account(signal) },
      { signal, doing: "asking for the account's privileges" },
    );
    return new Set(answer?.privileges);
  } catch (error) {
    if (isFault(error, "Forbidden", "NotFound")) return new Set();
    throw error;
  }
}

/** What `target` lacks, or undefined. Pure. */
export function gapOf(
  target: PrivilegeTarget,
  granted: ReadonlySet<string>,
  username: string,
): PrivilegeGap | undefined {
  const missing = neededPrivileges[target.role].filter((privilege) => !granted.has(privilege));
  if (missing.length === 0) return undefined;
  const spread =
    target.role === "folder" || target.role === "template" ? ", with propagation to children" : "";
  const remedy = `give '${username}' a role with ${missing.join(", ")} on ${target.path}${spread}`;
  return { ...target, missing, remedy };
}
