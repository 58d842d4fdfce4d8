// Everything Jet looks at in a round, as one value. What is missing is a fact in it, not an error.
import type { Fault, Secret } from "#core";
import type { Kind, OwnedStore, Problem, Resource } from "#core";
import {
  cluster,
  vsphereMachineTemplate,
  type Deployment,
  type IPAddressClaim,
  type Ledger,
  type SecretObject,
  type Spa,
  type SpectroCluster,
} from "#proto";
import { controlPlanePlacements, type AddressNeed } from "#proto/render/addresses.ts";
import type { ClusterNames } from "#proto/render/names.ts";
import type { Role } from "../ledger.ts";
import type { AboutMirror, ImageSource, PlacementAt, PoolSpace, VmFacts } from "../ports.ts";
import type { Trouble } from "../milestones.ts";
import type { Installed } from "../providers.ts";
import type { LeasedAddress } from "../render/cluster.ts";
import type { EtcdAccess } from "../render/etcd.ts";
import type { LeaseName } from "../render/lease.ts";

export type CredentialSeen =
  | { readonly kind: "missing"; readonly message: string }
  | {
      readonly kind: "found";
      readonly username: string;
      readonly password: Secret;
      readonly version: string;
    };

export type CloudSeen =
  /** Not asked this round. */
  | { readonly kind: "unasked" }
  | { readonly kind: "failed"; readonly fault: Fault }
  | {
      readonly kind: "answered";
      readonly problems: readonly Problem[];
      readonly template: string | undefined;
      /** The server's certificate, where the cloud could tell. */
      readonly thumbprint?: string | undefined;
    };

/** The address that the cluster's API shall have. */
export interface EndpointSeen {
  readonly host: string;
  readonly port: number;
  /** Another cluster of this gateway. */
  readonly takenBy?: string | undefined;
  /** Somebody answers there, and it is not this cluster. */
  readonly answers: boolean;
}

/** Where images come from, and what is wrong with the wish for it. */
export interface ImagesSeen {
  readonly source: ImageSource;
  readonly problems: readonly Problem[];
}

/** The way to a wished external etcd. */
export interface EtcdSeen {
  /** Absent: something is wrong with the Secret that the wish names. */
  readonly access?: EtcdAccess | undefined;
  readonly problems: readonly Problem[];
  /** The Secrets for Cluster API that are on the gateway already. */
  readonly made: readonly SecretObject[];
}

export interface LeaseSeen {
  readonly at: LeaseName;
  readonly claim: IPAddressClaim | undefined;
  readonly address: LeasedAddress | undefined;
}

export interface NeedSeen {
  readonly need: AddressNeed;
  readonly room: PoolSpace | undefined;
  readonly leases: readonly LeaseSeen[];
}

export interface Side {
  /** All Cluster API objects in the cluster's namespace. */
  readonly objects: readonly Resource[];
}

export type WorkloadSeen =
  /** No kubeconfig yet. */
  | { readonly kind: "none" }
  | { readonly kind: "unreachable"; readonly fault: Fault }
  | {
      readonly kind: "reachable";
      readonly store: OwnedStore;
      readonly installed: Installed | undefined;
      /** What the pods say where a Deployment is not available; only looked for before a pivot. */
      readonly pods?: Trouble | undefined;
      /** What does not answer there although it runs; only looked for before a pivot. */
      readonly silent?: string | undefined;
      readonly deployments: ReadonlyMap<string, Deployment>;
      readonly spectroCluster: SpectroCluster | undefined;
      /** Only looked at where the workload cluster owns its objects. */
      readonly identity: SecretObject | undefined;
      /** Looked at where the identity is. */
      readonly vsphereCluster?: Resource | undefined;
      readonly vsphereVMs?: readonly Resource[];
      /** Those of an external etcd; looked at where the identity is. */
      readonly etcd?: readonly SecretObject[];
      readonly kubeconfig: string | undefined;
      readonly childPools: readonly Resource[];
      /** That it owns itself, and its Cluster is not there. `left`: a machine that is, "Machine/c1-cp-x". */
      readonly lost?: { readonly left?: string };
      /** That the gateway has it from its mirror, and something of it is there again: a manager wrote it from memory. */
      readonly ruins?: true;
    };

/** A VM of the cluster, and what it is to it. */
export interface Stray extends VmFacts {
  readonly role: Role;
}

export interface SpaSeen {
  readonly spa: Spa;
  readonly names: ClusterNames;
  readonly deleting: boolean;
  /** Which side owns the Cluster API objects, by the journal. */
  readonly side: "gateway" | "workload" | "none";
  readonly credential: CredentialSeen;
  readonly cloud: CloudSeen;
  /** SHA-256 of what vCenter shows now, vouched for by the authority that the account names; only where it names no certificate. */
  readonly certificate?: string | undefined;
  /** Undefined where etcd runs on the control plane. */
  readonly etcd?: EtcdSeen | undefined;
  readonly images?: ImagesSeen;
  /** Only looked at before the cluster has objects. */
  readonly endpoint?: EndpointSeen | undefined;
  /** Its failure domains and deployment zones, on each side; only looked at where it has several places. */
  readonly zones?: { readonly gateway: readonly Resource[]; readonly workload: readonly Resource[] };
  readonly needs: readonly NeedSeen[];
  readonly gateway: Side;
  readonly identity: SecretObject | undefined;
  readonly childPools: readonly Resource[];
  /** The kubeconfig as Cluster API wrote it on the gateway, and our copy of it that outlasts the pivot. */
  readonly kubeconfig: { readonly made: string | undefined; readonly kept: string | undefined };
  readonly workload: WorkloadSeen;
  /** What was ever made for the cluster, as far as anybody wrote it down. */
  readonly ledger: Ledger;
  /** VMs of the cluster that should be gone; only looked for at the end of a deletion, or where the cluster cannot be asked. */
  readonly strays:
    | { readonly kind: "unasked" }
    | { readonly kind: "failed"; readonly fault: Fault }
    | { readonly kind: "counted"; readonly vms: readonly Stray[] };
  /** Names of the Secrets in the cluster's namespace on the gateway; only looked for at the end of a deletion. */
  readonly secrets: readonly string[];
  /** The copy of the cluster that is kept beside the store; absent where none are kept. */
  readonly mirror?: { readonly about: AboutMirror | undefined } | undefined;
  /** Claims and addresses still leased, found by label; includes those of an earlier, larger wish. */
  readonly leaseClaims: readonly IPAddressClaim[];
}

/** Where our copy of a workload cluster's kubeconfig lies, in the cluster's namespace on the gateway. */
export const keptKubeconfigName = "pcg-workload-kubeconfig";

/** Every placement of a spec with the field it came from. */
export function placementsOf({ spec }: Pick<Spa, "spec">): PlacementAt[] {
  return [
    { field: "placement", placement: spec.placement },
    ...controlPlanePlacements(spec).filter(({ field }) => field !== "placement"),
    ...spec.workerPools.flatMap((pool, at) =>
      pool.placement ? [{ field: `workerPools[${at}].placement`, placement: pool.placement }] : [],
    ),
  ];
}

export function imageWish({ spec }: Pick<Spa, "spec">) {
  return {
    kubernetesVersion: spec.kubernetesVersion,
    ...(spec.image.template ? { template: spec.image.template } : {}),
  };
}

/** The template that the machines of this side are cloned from, by what was rendered earlier. */
export function renderedTemplate(side: Side): string | undefined {
  const object = side.objects.find((o) => o.kind === vsphereMachineTemplate.kind);
  return (object?.spec as { template?: { spec?: { template?: string } } } | undefined)?.template?.spec
    ?.template;
}

export function objectsOf<R extends Resource>(side: Side, kind: Kind<R>): R[] {
  return side.objects.filter((o) => o.kind === kind.kind) as R[];
}

/** Whether its Cluster was ever written. */
export function isBorn(seen: SpaSeen): boolean {
  return seen.side !== "gateway" || objectsOf(seen.gateway, cluster).length > 0;
}
