// The milestones' titles, in Palette's words. Keys are condition types.

export const milestoneTitles = {
  ImageResolutionDone: "Customizing Image",
  CloudInfrastructureReady: "Creating Infrastructure",
  BootstrappingDone: "Adding Control Plane Node",
  KubeConfigReady: "Preparing Kubeconfig",
  ImagePullSecretPropagationDone: "Installing Agent",
  PivotCompleted: "Transferring Management",
  ControlPlaneNodeAdditionDone: "Adding Control Plane Nodes",
  WorkerNodeAdditionDone: "Adding Worker Nodes",
} as const;

/** On the way down. */
export const deletionTitles = {
  ManagementReturned: "Taking Management Back",
  WorkerNodeDeletionDone: "Removing Worker Nodes",
  ControlPlaneNodeDeletionDone: "Removing Control Plane Nodes",
  ResourcesReleased: "Releasing Resources",
} as const;
