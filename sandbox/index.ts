// The door of sandbox: a simulated datacenter. Only cli and test import it.
export * from "./datacenter.ts";
export * from "./knobs.ts";
export * from "./capi/index.ts";
export * from "./vcenter/index.ts";
export { vcenters, type Vcenters } from "./capi/vcenter-vms.ts";
export type { Hypervisor, PoweredVm } from "./workload/hypervisor.ts";
export { machineStandIn, type MachineDeps, type MachineStandIn } from "./workload/machines.ts";
export { storeWorkloads, type StoreWorkloadDeps } from "./workload/store-workloads.ts";
export type { Workload, WorkloadHost, WorkloadSeed } from "./workload/workload.ts";
export { imageName, type Program, type ProgramPod, type Programs } from "./workload/programs.ts";
