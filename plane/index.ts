// The door of the plane.
export type { Listen } from "./addresses.ts";
export type { HubOptions, OpenHub } from "./hub.ts";
export { startPlane, type Plane, type PlaneDeps, type PlaneOptions } from "./start.ts";
export {
  planeClient,
  type EventPage,
  type EventPageQuery,
  type PlaneClient,
  type PlaneClientOptions,
} from "./client.ts";
export { annotations as clusterAnnotations } from "./annotations.ts";
export { vcenterCredential } from "./desired.ts";
export { openGrpcHub } from "./hub.ts";
export { planeOptions, type PlaneSettings } from "./options.ts";
export type { HealthLimits } from "./health.ts";
export {
  clusterEntitySchema,
  type ClusterEntity,
  type ClusterStatusBody,
  type EventBody,
  type MachinePoolEntity,
  type OverlordBody,
  type SpectroClusterBody,
  type VsphereAccountBody,
} from "./rest/shapes.ts";
