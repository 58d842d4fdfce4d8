// Enumerations. A value that is not listed (a newer server's) is read as it stands.

// prettier-ignore
export const enums = {
  ArrayUpdateOperation: ["add", "remove", "edit"],
  HostSystemConnectionState: ["connected", "notResponding", "disconnected"],
  HostSystemPowerState: ["poweredOn", "poweredOff", "standBy", "unknown"],
  ManagedEntityStatus: ["gray", "green", "yellow", "red"],
  ObjectUpdateKind: ["modify", "enter", "leave"],
  PropertyChangeOp: ["add", "remove", "assign", "indirectRemove"],
  SharesLevel: ["low", "normal", "high", "custom"],
  TaskInfoState: ["queued", "running", "success", "error"],
  VirtualDeviceConfigSpecFileOperation: ["create", "destroy", "replace"],
  VirtualDeviceConfigSpecOperation: ["add", "remove", "edit"],
  VirtualMachineConnectionState: ["connected", "disconnected", "orphaned", "inaccessible", "invalid"],
  VirtualMachinePowerState: ["poweredOff", "poweredOn", "suspended"],
  VirtualMachineRelocateTransformation: ["flat", "sparse"],
  VirtualMachineToolsStatus: ["toolsNotInstalled", "toolsNotRunning", "toolsOld", "toolsOk"],
  VirtualSCSISharing: ["noSharing", "virtualSharing", "physicalSharing"],
} as const satisfies Record<string, readonly string[]>;
