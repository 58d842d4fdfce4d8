// What the cluster autoscaler reads from a MachineDeployment. It acts where both are there, and numbers.

export const minSizeAnnotation = "cluster.x-k8s.io/cluster-api-autoscaler-node-group-min-size";
export const maxSizeAnnotation = "cluster.x-k8s.io/cluster-api-autoscaler-node-group-max-size";
