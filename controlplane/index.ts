// The door of controlplane: a Kubernetes API with Cluster API and CAPV as supervised processes.
export * from "./versions.ts";
export * from "./webhooks.ts";
