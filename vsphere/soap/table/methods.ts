// Methods of the vim25 interface that this client calls and the simulated vCenter answers. Notation: ./row.ts.
// A method named ..._Task returns the reference of a Task.
import type { MethodRow } from "./row.ts";

const task = "ref";

// prettier-ignore
export const methods = {
  // Service and session
  RetrieveServiceContent: { params: {}, returns: "ServiceContent", read: true },
  CurrentTime: { params: {}, returns: "dateTime", read: true },
  Login: { params: { userName: "string", password: "string", locale: "string?" }, returns: "UserSession" },
  Logout: { params: {} },
  SessionIsActive: { params: { sessionID: "string", userName: "string" }, returns: "boolean", read: true },
  TerminateSession: { params: { sessionId: "string[]" } },

  // Rights
  FetchUserPrivilegeOnEntities: { params: { entities: "ref[]", userName: "string" }, returns: "UserPrivilegeResult[]", read: true },
  HasPrivilegeOnEntities: { params: { entity: "ref[]", sessionId: "string", privId: "string[]" }, returns: "EntityPrivilege[]", read: true },
  RetrieveEntityPermissions: { params: { entity: "ref", inherited: "boolean" }, returns: "Permission[]", read: true },

  // Collector and views
  RetrieveProperties: { params: { specSet: "PropertyFilterSpec[]" }, returns: "ObjectContent[]", read: true },
  RetrievePropertiesEx: { params: { specSet: "PropertyFilterSpec[]", options: "RetrieveOptions" }, returns: "RetrieveResult?", read: true },
  ContinueRetrievePropertiesEx: { params: { token: "string" }, returns: "RetrieveResult" },
  CancelRetrievePropertiesEx: { params: { token: "string" } },
  CreatePropertyCollector: { params: {}, returns: "ref" },
  DestroyPropertyCollector: { params: {} },
  CreateFilter: { params: { spec: "PropertyFilterSpec", partialUpdates: "boolean" }, returns: "ref" },
  DestroyPropertyFilter: { params: {} },
  WaitForUpdatesEx: { params: { version: "string?", options: "WaitOptions?" }, returns: "UpdateSet?", read: true },
  WaitForUpdates: { params: { version: "string?" }, returns: "UpdateSet", read: true },
  CheckForUpdates: { params: { version: "string?" }, returns: "UpdateSet?", read: true },
  CancelWaitForUpdates: { params: {} },
  CreateContainerView: { params: { container: "ref", type: "string[]", recursive: "boolean" }, returns: "ref" },
  CreateListView: { params: { obj: "ref[]" }, returns: "ref" },
  DestroyView: { params: {} },

  // Search
  FindByUuid: { params: { datacenter: "ref?", uuid: "string", vmSearch: "boolean", instanceUuid: "boolean?" }, returns: "ref?", read: true },
  FindAllByUuid: { params: { datacenter: "ref?", uuid: "string", vmSearch: "boolean", instanceUuid: "boolean?" }, returns: "ref[]", read: true },
  FindByInventoryPath: { params: { inventoryPath: "string" }, returns: "ref?", read: true },
  FindChild: { params: { entity: "ref", name: "string" }, returns: "ref?", read: true },
  FindByDnsName: { params: { datacenter: "ref?", dnsName: "string", vmSearch: "boolean" }, returns: "ref?", read: true },
  FindByIp: { params: { datacenter: "ref?", ip: "string", vmSearch: "boolean" }, returns: "ref?", read: true },

  // Virtual machines
  CloneVM_Task: { params: { folder: "ref", name: "string", spec: "VirtualMachineCloneSpec" }, returns: task },
  ReconfigVM_Task: { params: { spec: "VirtualMachineConfigSpec" }, returns: task },
  PowerOnVM_Task: { params: { host: "ref?" }, returns: task },
  PowerOffVM_Task: { params: {}, returns: task },
  ResetVM_Task: { params: {}, returns: task },
  ShutdownGuest: { params: {} },
  PowerOnMultiVM_Task: { params: { vm: "ref[]", option: "OptionValue[]" }, returns: task },
  MarkAsTemplate: { params: {} },
  MarkAsVirtualMachine: { params: { pool: "ref", host: "ref?" } },
  CreateSnapshot_Task: { params: { name: "string", description: "string?", memory: "boolean", quiesce: "boolean" }, returns: task },
  RemoveAllSnapshots_Task: { params: { consolidate: "boolean?" }, returns: task },
  RemoveSnapshot_Task: { params: { removeChildren: "boolean", consolidate: "boolean?" }, returns: task },
  UpgradeVM_Task: { params: { version: "string?" }, returns: task },

  // Any entity
  Destroy_Task: { params: {}, returns: task },
  Rename_Task: { params: { newName: "string" }, returns: task },
  CreateFolder: { params: { name: "string" }, returns: "ref" },
  MoveIntoFolder_Task: { params: { list: "ref[]" }, returns: task },
  CancelTask: { params: {} },
} as const satisfies Record<string, MethodRow>;
