// The door: machines that run on a real simulated vCenter and form real clusters, and what they need around them.
export { removeKeys, startExternalEtcd, type ExternalEtcd, type ExternalEtcdOptions } from "./etcd.ts";
export { startMachines, type Machines, type MachinesOptions } from "./machines.ts";
export { settleGolden, startSite, type Site, type SiteOptions, type SiteWish } from "./site.ts";
export { preparedVcenter, type PreparedVcenter } from "./vcenter.ts";
