// What Jet needs of the world besides the gateway's own store. gateway/wiring.ts plugs these together.
import type { Clock, Logger, OwnedStore, Problem, Resource, ResourceStore, Secret } from "#core";
import type { ClusterEvent, ClusterStatus, DesiredState, Placement, SpaSpec } from "#proto";
import type { PoolRef } from "#proto/render/addresses.ts";
import type { EventShelf } from "./events.ts";
import type { SnapshotShelf } from "./pivot/snapshot.ts";

/** A VM as a census sees it. */
export interface VmFacts {
  readonly name: string;
  readonly biosUUID: string;
  /** The server's own id of it ("vm-42"). */
  readonly moref: string;
  readonly folder?: string;
  /** As its tools report it. */
  readonly ipAddress?: string;
}

/** A placement, and the field that holds it: "placement", "workerPools[0].placement". */
export interface PlacementAt {
  readonly field: string;
  readonly placement: Placement;
}

export interface ImageWish {
  /** A template's inventory name or path; absent: found by version in the image template folders. */
  readonly template?: string;
  /** "v1.35.4". */
  readonly kubernetesVersion: string;
}

/** Which VMs a census counts: any that fits one of the three. */
export interface CensusScope {
  readonly placements: readonly Pick<Placement, "datacenter" | "folder">[];
  /** BIOS UUIDs in lower case. */
  readonly biosUUIDs: readonly string[];
  /** Exact VM names. Looked for in the placements' folders only. */
  readonly names: readonly string[];
  /** VMs in those folders whose name begins so and that report one of these addresses. */
  readonly leased?: { readonly prefix: string; readonly addresses: readonly string[] };
}

/** What Jet asks of a datacenter. Calls throw Faults: Unauthorized for a refused login, Unavailable where nobody answers. */
export interface Cloud {
  /** Whether these places exist: every mistake found, by field; empty when all is well. */
  check(
    placements: readonly PlacementAt[],
    image: ImageWish,
    signal: AbortSignal,
  ): Promise<readonly Problem[]>;
  /** The template to clone from, as an inventory path; undefined where there is none yet. */
  findTemplate(
    placement: Placement,
    image: ImageWish,
    signal: AbortSignal,
  ): Promise<{ readonly path: string } | undefined>;
  /**
   * SHA-256 of the certificate that the server shows now, colon hex, over a connection that verified it (by certificate authority).
   * CAPV knows no authorities: without a thumbprint it verifies nothing. Absent: the wish's own thumbprint is all there is.
   */
  thumbprint?(signal: AbortSignal): Promise<string | undefined>;
  /** The VMs that exist now. */
  census(scope: CensusScope, signal: AbortSignal): Promise<readonly VmFacts[]>;
  /** Powers a VM off and deletes it; the last resort, for VMs that nobody manages any more. Absent VMs are no error. */
  destroy(vm: VmFacts, signal: AbortSignal): Promise<void>;
}

export interface Credentials {
  readonly username: string;
  readonly password: Secret;
}

/** A cloud under these credentials. Cheap to call: sessions are shared behind it, and renewed when credentials change. */
export type CloudFor = (cloud: SpaSpec["cloud"], credentials: Credentials) => Cloud;

export interface Pools {
  /** How much room a parent pool has for a new cluster's leases; undefined when there is no such pool. */
  room(ref: PoolRef): Promise<PoolSpace | undefined>;
}

export interface PoolSpace {
  readonly total: number;
  /** What leases may take. */
  readonly free: number;
  /** Free too, but kept for others, or not given out any more. */
  readonly kept?: number;
  /** So many rest after use, and are given out again when they have rested. */
  readonly resting?: number;
  /** When each further one is to be had by itself, the earliest first; milliseconds since 1970. */
  readonly later?: readonly number[];
}

export interface WorkloadClusters {
  /** The API behind a kubeconfig (its text). May fail at once or at the first call when nobody answers. The caller closes it. */
  connect(kubeconfig: string, signal: AbortSignal): Promise<OwnedStore>;
}

/** Where status and events go on their way to the plane. Resolves when the message is safe on disk; never waits for the line. */
export interface Outlet {
  status(status: ClusterStatus): Promise<void>;
  event(event: ClusterEvent): Promise<void>;
}

/**
 * A cluster's objects as they were when its agent (or Jet) last copied them: what a cluster whose own API is dead is revived or
 * deleted from. It holds the values of Secrets: it is never logged, and lies sealed on disk.
 */
export interface Mirrored {
  readonly clusterUid: string;
  readonly clusterName: string;
  /** When the copy was made, RFC 3339. */
  readonly takenAt: string;
  /** The decision record as it was in the cluster; a copy is made only where it says Active. */
  readonly decision: { readonly id: string; readonly epoch: number };
  /** The plane's counter of `desired`. */
  readonly counter: number;
  readonly desired: DesiredState;
  /** One hash over all content. */
  readonly digest: string;
  /** Owners before what they own; uids, owner references and status are those of the cluster's own API. */
  readonly objects: readonly Resource[];
}

/** The copies that outlive both a cluster's API and the gateway's control plane. */
export interface Mirrors {
  /** The newest whole copy; undefined where there never was one, or it was forgotten. */
  latest(clusterUid: string): Promise<Mirrored | undefined>;
  /** What is known of the newest copy, without opening it. */
  about(clusterUid: string): Promise<AboutMirror | undefined>;
  /** Puts a copy of Jet's own there, newer than all before. */
  keep(mirrored: Mirrored): Promise<void>;
  /** The clusters of which there is a copy. */
  clusters(): Promise<readonly string[]>;
  /** Called when nothing of the cluster is left: a copy that outlives its cluster would bring it back. Twice is once. */
  forget(clusterUid: string): Promise<void>;
  /** Whether the cluster was seen to its end: whatever still speaks of it is a thing of the past. */
  isForgotten(clusterUid: string): Promise<boolean>;
}

export interface AboutMirror {
  readonly digest: string;
  /** Of the decision record. */
  readonly pivotId: string;
  readonly takenAt: string;
  readonly epoch: number;
  readonly counter: number;
  readonly sequence: number;
  /** The public key that agents must seal for. */
  readonly reader: string;
}

/** Images of what Jet installs in a workload cluster. */
export interface InstallImages {
  readonly core: string;
  readonly bootstrap: string;
  readonly controlPlane: string;
  readonly infrastructure: string;
  readonly agent: string;
}

/** Where the images of a cluster's own programs come from. */
export interface ImageSource {
  /** A registry, perhaps with a path, in place of the images' own. */
  readonly mirror?: string | undefined;
  /** A Docker config (JSON) with the logins of the registry; its version changes when it does. */
  readonly pullSecret?: { readonly config: Secret; readonly version: string } | undefined;
}

/** What runs Cluster API in a workload cluster, and how it gets there. */
export interface ProviderSource {
  /** The Deployments that must be available before anything is moved. */
  readonly deployments: readonly { readonly namespace: string; readonly name: string }[];
  /** The CRDs that it brings, by name: Jet does not write its own of these. */
  readonly crds: readonly string[];
  /** Another one whenever `install` would write other things. */
  digest(images: ImageSource): string;
  /** Which versions it brings, for people and for `refuses`: "Cluster API 1.13.5, CAPV 1.16.1". */
  readonly release?: string;
  /** Why it must not be written over what another source has installed, in words with what to do; undefined where it may. */
  refuses?(installed: string): string | undefined;
  /** Writes everything, in order; may be done any number of times. `renewAt`: when it must be done again, milliseconds since 1970. */
  install(
    to: ResourceStore,
    images: ImageSource,
    signal: AbortSignal,
  ): Promise<{ readonly renewAt?: number | undefined }>;
  /** What does not answer although its Deployments are available, in words; undefined when all do. */
  silent(at: ResourceStore, signal: AbortSignal): Promise<string | undefined>;
}

/** What the agent must know of its plane beside its one-time token: how to check what the plane signs. */
export interface AgentTrust {
  /** Ed25519 public key, PEM. */
  readonly signingKey?: string;
  /** What it seals the cluster's mirror with: the gateway's public key, and this cluster's own token. Both base64. */
  readonly mirror?: { readonly key: string; readonly token: Secret };
}

export interface JetDeps {
  /** The gateway's own API: SPAs, and the Cluster API objects until the pivot. */
  readonly store: ResourceStore;
  readonly cloudFor: CloudFor;
  readonly pools: Pools;
  readonly workloads: WorkloadClusters;
  /** Whether anybody takes a connection at this address, within a second or so. Absent: nobody is asked. */
  readonly answers?: (
    at: { readonly host: string; readonly port: number },
    signal: AbortSignal,
  ) => Promise<boolean>;
  readonly outlet: Outlet;
  readonly events: EventShelf;
  readonly snapshots: SnapshotShelf;
  /** The CustomResourceDefinitions to install in a workload cluster, besides those that the providers bring. */
  readonly crds: () => readonly Resource[];
  /** Absent: plain Deployments with `options.images`, as the sandbox plays them. */
  readonly providers?: ProviderSource;
  /** Absent: no cluster can be revived from a copy. */
  readonly mirrors?: Mirrors;
  readonly clock: Clock;
  readonly log: Logger;
  /** In [0, 1). */
  readonly random: () => number;
}

export interface JetOptions {
  /** Where credential Secrets lie on the gateway; "pcg-system" unless told. */
  readonly systemNamespace?: string;
  readonly images?: Partial<InstallImages>;
  /** Where images come from, for clusters whose wish does not say. */
  readonly imageSource?: ImageSource;
  readonly agentTrust?: (clusterUid: string) => AgentTrust;
  /** How often a workload cluster is looked at while something is going on, milliseconds; 1000 unless told. */
  readonly busyPollMs?: number;
  /** The same once it runs; 30 000 unless told. */
  readonly steadyPollMs?: number;
  /** How long the objects of a cluster must lie still before a pivot copies them, milliseconds; 2000 unless told. */
  readonly quietMs?: number;
  /** How long a pivot is watched after the hand-over, milliseconds; 5000 unless told. */
  readonly watchMs?: number;
  /** How long the new side may be silent before an undecided pivot is taken back, milliseconds; 10 min unless told. */
  readonly lostMs?: number;
  /** The first wait after a failure and the longest one, milliseconds; 5 s and 5 min unless told. */
  readonly backoff?: { readonly baseMs: number; readonly capMs: number };
  /** How long a cluster's API (and, with deletePolicy Force, vCenter) must be silent before its deletion goes on without it; 15 min unless told. */
  readonly deadAfterMs?: number;
  /** How long a call to a workload API may take, milliseconds; 10 000 unless told. */
  readonly workloadTimeoutMs?: number;
}
