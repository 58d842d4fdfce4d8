// The port: the API of one workload cluster, whoever plays it. `store-workloads.ts` serves a store; test/peers starts a real
// kube-apiserver.
//
//   W1. It answers while at least one of its control-plane machines runs, and forgets everything when the last one is destroyed.
//   W2. Opened twice is opened once; what was there before a restart is found again where the host keeps it on disk.
import type { ResourceStore } from "#core";
import type { KeyPair } from "../capi/certificates.ts";
import type { WriteFile } from "../capi/cloud-init.ts";
import type { Endpoint } from "./boot.ts";

/** What the first machine of a cluster (or, after a restart, any control plane) knows about it. */
export interface WorkloadSeed {
  readonly endpoint: Endpoint;
  readonly authority: KeyPair;
  /** Every file that cloud-init wrote, the cluster's keys among them. */
  readonly files: readonly WriteFile[];
  /** kubeadm's ClusterConfiguration; absent where a control plane joins what was there before. */
  readonly configuration?: Readonly<Record<string, unknown>>;
}

export interface Workload {
  readonly endpoint: Endpoint;
  /** The API, past the line to it where there is a way. */
  readonly store: ResourceStore;
  /** The store while the API answers, else undefined. */
  readonly reachable: ResourceStore | undefined;
  /** An administrator's kubeconfig. */
  readonly kubeconfig: string;
  /** The certificate that clients of this API trust, PEM. */
  readonly authorityCertificate: string;
  /** Starts to answer (W1); twice is once. Unavailable when the address cannot be listened on. */
  start(): Promise<void>;
  /** Stops to answer; what it holds stays. */
  stop(): Promise<void>;
  /** Stops and lets everything go; with `forget`, for good. */
  close(forget: boolean): Promise<void>;
}

/** Where the APIs of workload clusters come from. */
export interface WorkloadHost {
  /** Invalid when the machine was told something that cannot be a cluster here. */
  open(seed: WorkloadSeed): Promise<Workload>;
  /** Whether `open` would find something that was there before. */
  has(endpoint: Endpoint): Promise<boolean>;
}
