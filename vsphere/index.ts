// The door of vsphere: a typed client of vCenter.
export { connectVsphere, vsphereSessions } from "./sessions.ts";
export type { ConnectOptions, SessionsOptions, VsphereSessions } from "./sessions.ts";
export type { About, VsphereClient } from "./client.ts";
export { fetchThumbprint, normaliseThumbprint, parseServer } from "./soap/certificate.ts";
export type { Entry, EntryKind } from "./inventory-entry.ts";
export type { Inventory, InventorySnapshot, Pick as InventoryPick, Scope } from "./inventory.ts";
export type { CardRequest, CloneRequest, Reconfiguration } from "./clone-spec.ts";
export type { Machine, PowerState, Vms } from "./vms.ts";
export { cardsOf, isCard, type MachineCard } from "./cards.ts";
export { readAll, readObject, readObjects, waitForProperties } from "./collector.ts";
export type { Tasks, TaskWait } from "./tasks.ts";
export type { Rest, RestPath } from "./rest.ts";
export {
  neededPrivileges,
  type PrivilegeGap,
  type PrivilegeRole,
  type PrivilegeTarget,
} from "./privileges.ts";
export { check, judgePlacement, type CheckOptions, type PlacementToCheck } from "./check.ts";
export { census, type CensusEntry, type CensusQuery } from "./census.ts";
export type { Ref } from "./soap/types.ts";
export { isVimFault, VimFault } from "./soap/vim-fault.ts";
