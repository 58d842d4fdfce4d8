// The versions that this gateway is made for, and which of them go together. To raise one: change it here and in test/peers/*/go.mod,
// then run `npm run test:peers`.

export const programNames = [
  "etcd",
  "etcdutl",
  "kube-apiserver",
  "kube-controller-manager",
  "capi-core",
  "cabpk",
  "kcp",
  "capv",
] as const;

export type ProgramName = (typeof programNames)[number];

export const providerNames = ["core", "bootstrap", "control-plane", "infrastructure"] as const;

export type ProviderName = (typeof providerNames)[number];

/** What is pinned: the versions a bundle must have. */
export const pinned = { etcd: "3.6.14", kubernetes: "1.35.4", capi: "1.13.5", capv: "1.16.1" } as const;

export const programVersions: Readonly<Record<ProgramName, string>> = {
  etcd: pinned.etcd,
  etcdutl: pinned.etcd,
  "kube-apiserver": pinned.kubernetes,
  "kube-controller-manager": pinned.kubernetes,
  "capi-core": pinned.capi,
  cabpk: pinned.capi,
  kcp: pinned.capi,
  capv: pinned.capv,
};

/** What there is to say about a provider besides its version. */
export interface Provider {
  readonly version: string;
  /** Its program. */
  readonly program: ProgramName;
  /** Before the names of its objects, as in upstream's releases. */
  readonly prefix: string;
  /** Where upstream's releases put it. */
  readonly namespace: string;
  /** `cluster.x-k8s.io/provider` on its objects. */
  readonly label: string;
}

export const providers: Readonly<Record<ProviderName, Provider>> = {
  core: {
    version: pinned.capi,
    program: "capi-core",
    prefix: "capi-",
    namespace: "capi-system",
    label: "cluster-api",
  },
  bootstrap: {
    version: pinned.capi,
    program: "cabpk",
    prefix: "capi-kubeadm-bootstrap-",
    namespace: "capi-kubeadm-bootstrap-system",
    label: "bootstrap-kubeadm",
  },
  "control-plane": {
    version: pinned.capi,
    program: "kcp",
    prefix: "capi-kubeadm-control-plane-",
    namespace: "capi-kubeadm-control-plane-system",
    label: "control-plane-kubeadm",
  },
  infrastructure: {
    version: pinned.capv,
    program: "capv",
    prefix: "capv-",
    namespace: "capv-system",
    label: "infrastructure-vsphere",
  },
};

/** An inclusive range of minor versions, "1.32" to "1.36". */
export interface MinorRange {
  readonly from: string;
  readonly to: string;
}

/** What goes with a Cluster API of this minor version. */
export interface Pairing {
  readonly capi: string;
  /** The contract that it writes; a provider that keeps an older one is spoken to in that. */
  readonly contract: "v1beta1" | "v1beta2";
  readonly capv: readonly string[];
  /** The Kubernetes API that the providers run against. */
  readonly management: MinorRange;
  /** The Kubernetes that they can install. */
  readonly workload: MinorRange;
}

/** From upstream's release notes (Kubernetes) and CAPV's own tests (CAPI). The newest first. */
export const pairings: readonly Pairing[] = [
  {
    capi: "1.13",
    contract: "v1beta2",
    capv: ["1.16"],
    management: { from: "1.32", to: "1.36" },
    workload: { from: "1.30", to: "1.36" },
  },
  {
    capi: "1.12",
    contract: "v1beta2",
    capv: ["1.15"],
    management: { from: "1.31", to: "1.35" },
    workload: { from: "1.29", to: "1.35" },
  },
];

/** The pairing of this Cluster API, "1.13.5" or "v1.13.5"; undefined for one that we know nothing of. */
export function pairingOf(capi: string): Pairing | undefined {
  return pairings.find((each) => each.capi === minorOf(capi));
}

/** "1.35" of "v1.35.4". */
export function minorOf(version: string): string {
  return /^v?(\d+\.\d+)/.exec(version)?.[1] ?? "";
}

/** Whether a version, "1.35.4" or "v1.35.4", lies in a range of minor versions. */
export function isWithin(version: string, { from, to }: MinorRange): boolean {
  const minor = rank(minorOf(version));
  return minor >= rank(from) && minor <= rank(to);
}

function rank(minor: string): number {
  const [major = 0, rest = 0] = minor.split(".").map(Number);
  return major * 1000 + rest;
}
