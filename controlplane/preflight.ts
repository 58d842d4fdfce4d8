// Whether an existing management cluster will do (mode `external`): what is missing, by name, and what to do about it. Pure.
import { groupResource, type Kind, type Problem, type Resource } from "#core";
import { isWithin, minorOf, pairingOf, pinned, type Pairing } from "./versions.ts";

/** What the gateway must be allowed to do. */
export interface Need {
  readonly group: string;
  readonly resource: string;
  readonly verbs: readonly string[];
}

/** What was found there. */
export interface Findings {
  /** "v1.35.4". */
  readonly kubernetes: string;
  /** Absent: they may not be listed, which is one of `denied`. */
  readonly crds?: readonly Resource[];
  /** What clusterctl wrote down of each provider; none where it was not used. */
  readonly providers: readonly InstalledProvider[];
  /** Those of the needs that are not allowed, verb by verb. */
  readonly denied: readonly { readonly group: string; readonly resource: string; readonly verb: string }[];
}

export interface InstalledProvider {
  /** "cluster-api", "infrastructure-vsphere". */
  readonly name: string;
  readonly version: string;
}

interface CrdParts {
  readonly spec: {
    readonly versions: readonly { readonly name: string; readonly served: boolean }[];
    readonly group: string;
  };
  readonly status?: {
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
}

/** Everything that stands in the way, each with what to do; none: it will do. */
export function judgeExternal(findings: Findings, kinds: readonly Kind[]): Problem[] {
  const pairing = pairingOf(pinned.capi)!;
  return [
    ...kubernetesProblems(findings.kubernetes, pairing),
    ...deniedProblems(findings),
    ...(findings.crds ? kinds.flatMap((kind) => kindProblems(kind, findings.crds!)) : []),
    ...findings.providers.flatMap((provider) => providerProblems(provider, pairing)),
  ];
}

function kubernetesProblems(version: string, { management, capi }: Pairing): Problem[] {
  if (isWithin(version, management)) return [];
  const message = `is ${version}, and Cluster API ${capi} runs on ${management.from} to ${management.to}: upgrade the cluster`;
  return [{ field: "Kubernetes", message }];
}

function deniedProblems({ denied }: Findings): Problem[] {
  const byResource = new Map<string, string[]>();
  for (const { group, resource, verb } of denied) {
    const field = group ? `${resource}.${group}` : resource;
    byResource.set(field, [...(byResource.get(field) ?? []), verb]);
  }
  return [...byResource].map(([field, verbs]) => ({
    field,
    message: `may not be used by the kubeconfig's user: grant ${verbs.join(", ")} on ${field} in all namespaces`,
  }));
}

function kindProblems(kind: Kind, crds: readonly Resource[]): Problem[] {
  const field = groupResource(kind);
  const crd = crds.find(({ metadata }) => metadata.name === field) as (Resource & CrdParts) | undefined;
  const install = `install ${ownerOf(kind.group)}`;
  if (!crd) return [{ field, message: `is not installed: ${install}` }];
  if (crd.metadata.deletionTimestamp) {
    return [
      { field, message: `is being deleted, and every ${kind.kind} with it: let that end, then ${install}` },
    ];
  }
  const served = crd.spec.versions.filter((each) => each.served).map(({ name }) => name);
  if (!served.includes(kind.version)) {
    const message = `is served in ${served.join(", ")}, and the gateway speaks ${kind.version}: ${install}`;
    return [{ field, message }];
  }
  const established = crd.status?.conditions?.find(({ type }) => type === "Established")?.status === "True";
  if (!established) return [{ field, message: "is not established: see the conditions of its CRD" }];
  return isProviderKind(kind) ? contractProblems(field, kind, crd) : [];
}

/** Cluster API finds the version of a provider's kind by this label; without it nothing is provisioned. */
function contractProblems(field: string, kind: Kind, crd: Resource): Problem[] {
  const label = "cluster.x-k8s.io/v1beta2";
  const versions = crd.metadata.labels?.[label]?.split("_") ?? [];
  if (versions.includes(kind.version)) return [];
  const message = versions.length
    ? `has the label ${label}=${versions.join("_")}, and the gateway needs ${kind.version} there: ${`install ${ownerOf(kind.group)}`}`
    : `does not bear the label ${label}: it was installed by hand or is too old; install ${ownerOf(kind.group)}`;
  return [{ field, message }];
}

function providerProblems({ name, version }: InstalledProvider, pairing: Pairing): Problem[] {
  const minor = minorOf(version);
  const wanted = name === "infrastructure-vsphere" ? pairing.capv : [pairing.capi];
  const known = ["cluster-api", "bootstrap-kubeadm", "control-plane-kubeadm", "infrastructure-vsphere"];
  if (!known.includes(name) || wanted.includes(minor)) return [];
  const message = `is ${version}, and this gateway is made for ${wanted.join(" or ")}: upgrade it with clusterctl`;
  return [{ field: `provider ${name}`, message }];
}

function isProviderKind({ group }: Kind): boolean {
  return /^(infrastructure|bootstrap|controlplane)\.cluster\.x-k8s\.io$/.test(group);
}

function ownerOf(group: string): string {
  if (group.startsWith("infrastructure.")) return `CAPV ${pinned.capv}`;
  if (group.endsWith("cluster.x-k8s.io")) return `Cluster API ${pinned.capi} (clusterctl init)`;
  return "the gateway's own CRDs (proto/generated/crds)";
}
