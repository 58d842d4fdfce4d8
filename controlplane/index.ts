// The door of controlplane: a Kubernetes API with Cluster API and CAPV as supervised processes.
export * from "./versions.ts";
export * from "./webhooks.ts";
export { openBundle, type Bundle, type BundleOptions, type Manifest, type ProviderParts } from "./bundle.ts";
export {
  snapshotControlPlane,
  snapshotsOf,
  startControlPlane,
  type ControlPlane,
  type ControlPlaneDeps,
  type ControlPlaneOptions,
  type EarlyApi,
} from "./control-plane.ts";
export type { ProgramStatus } from "./supervisor/program.ts";
export type { ProgramState } from "./supervisor/decide.ts";
export { bundledProviders } from "./providers/source.ts";
export { restoreControlPlane, type RestoreOptions } from "./restore.ts";
export { listSnapshots, type SnapshotInfo } from "./snapshots.ts";
export { kubeconfigPathIn } from "./layout.ts";
export { judgeExternal, type Findings, type Need } from "./preflight.ts";
export { gatewayNeeds, preflightExternal } from "./preflight-reader.ts";
export { applyOwnCrds, ownCrds } from "./own-crds.ts";
