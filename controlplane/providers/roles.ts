// What each provider may do in a workload cluster: what it does there, and no more. Upstream's own roles are wider where a provider
// has a second life that ours never leads (CAPV beside a vSphere Supervisor). What Cluster API references by contract (any
// infrastructure, any bootstrap) it must be able to read and own; CAPV is the only one there is here.
import type { ProviderName } from "../versions.ts";

export interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
  readonly resourceNames?: readonly string[];
}

const read = ["get", "list", "watch"] as const;
const change = [...read, "patch", "update"] as const;
const all = ["create", "delete", ...change] as const;

function rule(group: string | readonly string[], resources: string, verbs: readonly string[]): Rule {
  return { apiGroups: [group].flat(), resources: resources.split(" "), verbs };
}

const [core, bootstrap, controlPlane, infrastructure, ipam] = [
  "cluster.x-k8s.io",
  "bootstrap.cluster.x-k8s.io",
  "controlplane.cluster.x-k8s.io",
  "infrastructure.cluster.x-k8s.io",
  "ipam.cluster.x-k8s.io",
];

/** A manager keeps its own CRDs' stored versions in order, reads contracts from all of them, and asks who may see its diagnostics. */
function everybody(crds: readonly string[]): Rule[] {
  return [
    rule("", "events", ["create", "patch"]),
    rule("apiextensions.k8s.io", "customresourcedefinitions", read),
    {
      ...rule("apiextensions.k8s.io", "customresourcedefinitions customresourcedefinitions/status", [
        "patch",
        "update",
      ]),
      resourceNames: crds,
    },
    rule("authentication.k8s.io", "tokenreviews", ["create"]),
    rule("authorization.k8s.io", "subjectaccessreviews", ["create"]),
  ];
}

const own: Readonly<Record<ProviderName, readonly Rule[]>> = {
  core: [
    rule("", "configmaps", ["delete", ...change]),
    rule("", "namespaces nodes", read),
    rule("", "secrets", all),
    rule(["addons.cluster.x-k8s.io", bootstrap, controlPlane, infrastructure], "*", all),
    rule(
      core,
      "clusterclasses clusterclasses/status clusters clusters/finalizers clusters/status machinedrainrules " +
        "machinehealthchecks/finalizers machinehealthchecks/status",
      change,
    ),
    rule(
      core,
      "machinedeployments machinedeployments/finalizers machinedeployments/status machinehealthchecks machinepools " +
        "machinepools/finalizers machinepools/status machines machines/finalizers machines/status machinesets " +
        "machinesets/finalizers machinesets/status",
      all,
    ),
    rule(ipam, "ipaddressclaims ipaddresses", change),
    rule(ipam, "ipaddressclaims/status", ["patch", "update"]),
    rule("runtime.cluster.x-k8s.io", "extensionconfigs extensionconfigs/status", change),
  ],
  bootstrap: [
    rule("", "configmaps secrets", all),
    rule(bootstrap, "kubeadmconfigs kubeadmconfigs/finalizers kubeadmconfigs/status", all),
    rule(bootstrap, "kubeadmconfigtemplates", change),
    rule(
      core,
      "clusters clusters/status machinepools machinepools/status machines machines/status machinesets",
      read,
    ),
  ],
  "control-plane": [
    rule("", "namespaces", read),
    rule("", "secrets", all),
    rule([bootstrap, controlPlane, infrastructure], "*", all),
    rule(core, "clusters clusters/status machinepools", read),
    rule(core, "machines machines/status", all),
    rule("runtime.cluster.x-k8s.io", "extensionconfigs", read),
  ],
  infrastructure: [
    rule("", "namespaces", read),
    rule("", "secrets", change), // it puts its finalizer and owner on a cluster's credential, and makes none
    rule("", "nodes", ["delete", ...change]),
    rule(
      infrastructure,
      "vsphereclusteridentities vsphereclusters vspheredeploymentzones vspherefailuredomains vspheremachines vspherevms",
      all,
    ),
    rule(
      infrastructure,
      "vsphereclusteridentities/status vsphereclusters/status vspheredeploymentzones/status vspheremachines/status vspherevms/status",
      ["get", "patch", "update"],
    ),
    rule(infrastructure, "vsphereclustertemplates vspheremachinetemplates", change),
    rule(core, "clusters clusters/status machinedeployments machines/status machinesets", read),
    rule(core, "machines", ["patch", ...read]),
    rule(controlPlane, "kubeadmcontrolplanes", read),
    rule(ipam, "ipaddressclaims", ["create", ...change]),
    rule(ipam, "ipaddresses", read),
  ],
};

/** In the whole cluster. `crds`: the names of the provider's own CRDs. */
export function clusterRules(name: ProviderName, crds: readonly string[]): readonly Rule[] {
  return [...everybody(crds), ...own[name]];
}

/** In its own namespace: who leads. */
export const leaderRules: readonly Rule[] = [
  rule("coordination.k8s.io", "leases", all),
  rule("", "events", ["create", "patch"]),
];
