// From Palette's cluster entity to the desired state a gateway carries out. Pure.
//
//   D1. All mistakes are found at once, each by the name the caller wrote.
//   D2. A field of a pool's placement goes before the cluster's; the control-plane pool's placement is the cluster's default.
//   D3. The document is what is signed: whoever changes a byte of it breaks the signature.
import { createHash } from "node:crypto";
import type { Problem } from "#core";
import { spaSpecSchema, type SpaSpec } from "#proto/kinds/spa.ts";
import type { DesiredCluster, SignedDocument } from "#proto/messages.ts";
import type { ClusterEntity, MachinePoolEntity, PlacementEntity } from "./rest/shapes.ts";

/** Annotations of the entity that say what Palette's fields cannot. */
export const annotations = {
  /** Which gateway; Palette's own name. */
  overlordUid: "overlordUid",
  /** "1.35.4" or "v1.35.4"; goes before a profile's pack called kubernetes. */
  kubernetesVersion: "pcg.dev/kubernetes-version",
  /** Inventory name or path of the template; found by version when absent. */
  imageTemplate: "pcg.dev/image-template",
  podCidr: "pcg.dev/pod-cidr",
  serviceCidr: "pcg.dev/service-cidr",
  /** Comma separated, at most three. */
  nameservers: "pcg.dev/nameservers",
} as const;

/** The Secret on the gateway that holds its vCenter credentials; the plane knows its name only. */
export const vcenterCredential = "vcenter";

export interface ReportedPool {
  readonly name: string;
  /** Absent: a GlobalInClusterIPPool. */
  readonly namespace?: string | undefined;
}

export interface DesireContext {
  readonly clusterUid: string;
  readonly tenantUid: string;
  readonly projectUid: string;
  /** vCenter as the gateway named it. */
  readonly server: string;
  /** What the gateway last said of its pools. */
  readonly pools: readonly ReportedPool[];
  readonly planeUrl: string;
  readonly planeCa: string;
}

export type Mapped =
  | { readonly kind: "spec"; readonly spec: SpaSpec }
  | { readonly kind: "problems"; readonly problems: Problem[] };

/** The SPA's spec for an entity, without counter, hash and token (see `desiredCluster`). */
export function specOf(entity: ClusterEntity, context: DesireContext): Mapped {
  const problems: Problem[] = [];
  const { metadata, spec } = entity;
  const notes = metadata.annotations ?? {};
  const config = spec.cloudConfig ?? {};
  const pools = (spec.machinepoolconfig ?? []).map((pool, index) => ({
    pool,
    index,
    field: `spec.machinepoolconfig[${index}]`,
  }));
  const controlPlanes = pools.filter(({ pool }) => pool.poolConfig?.isControlPlane);
  const [controlPlane] = controlPlanes;
  const workers = pools.filter(({ pool }) => !pool.poolConfig?.isControlPlane);
  if (controlPlanes.length !== 1) {
    problems.push({
      field: "spec.machinepoolconfig",
      message: `exactly one pool must have poolConfig.isControlPlane, ${controlPlanes.length} have`,
    });
  }
  for (const { pool, field } of pools) problems.push(...poolProblems(pool, field));
  problems.push(...sameNames(workers.map(({ pool, field }) => ({ name: pool.poolConfig?.name, field }))));

  const version = kubernetesVersion(entity);
  if (!version) {
    problems.push({
      field: `metadata.annotations["${annotations.kubernetesVersion}"]`,
      message:
        "no Kubernetes version: set this annotation, or give a profile whose packValues have name 'kubernetes' and a tag like 1.35.4",
    });
  }

  const place = (pool: MachinePoolEntity | undefined) =>
    placement(merged(config.placement, pool?.cloudConfig?.placements?.[0]), entity, context);
  const main = place(controlPlane?.pool);
  problems.push(
    ...placementProblems(
      main,
      controlPlane ? `${controlPlane.field}.cloudConfig.placements[0]` : "spec.cloudConfig.placement",
      context,
    ),
  );
  for (const { pool, field } of workers) {
    if (pool.cloudConfig?.placements?.length)
      problems.push(...placementProblems(place(pool), `${field}.cloudConfig.placements[0]`, context));
  }
  const endpoint = config.controlPlaneEndpoint ?? {};
  const host =
    endpoint.host ||
    (endpoint.ddnsSearchDomain ? `${metadata.name ?? ""}.${endpoint.ddnsSearchDomain}` : undefined);
  if (endpoint.type && endpoint.type !== "VIP" && !host) {
    problems.push({
      field: "spec.cloudConfig.controlPlaneEndpoint.host",
      message: `is missing; type ${endpoint.type} needs it`,
    });
  }
  if (!host && !main.staticIp) {
    problems.push({
      field: "spec.cloudConfig.controlPlaneEndpoint.host",
      message: "is missing; without a static address pool there is nothing to take the VIP from",
    });
  }

  const draft = present({
    clusterUid: context.clusterUid,
    clusterName: metadata.name ?? undefined,
    projectUid: context.projectUid,
    tenantUid: context.tenantUid,
    tags: metadata.labels ?? undefined,
    cloud: { type: "vsphere", server: context.server, credentialRef: { name: vcenterCredential } },
    placement: main,
    network: present({
      endpoint: present({ type: endpoint.type ?? undefined, host }),
      podCidr: notes[annotations.podCidr],
      serviceCidr: notes[annotations.serviceCidr],
    }),
    access: present({ sshKeys: config.sshKeys ?? undefined, ntpServers: config.ntpServers ?? undefined }),
    kubernetesVersion: version ?? "v0.0.0",
    image: present({ template: notes[annotations.imageTemplate] }),
    controlPlane: controlPlane && {
      ...machines(controlPlane.pool),
      replicas: controlPlane.pool.poolConfig?.size ?? undefined,
      useControlPlaneAsWorker: controlPlane.pool.poolConfig?.useControlPlaneAsWorker ?? undefined,
    },
    workerPools: workers.map(({ pool }) =>
      present({
        ...machines(pool),
        name: pool.poolConfig?.name ?? undefined,
        size: pool.poolConfig?.size ?? undefined,
        placement: pool.cloudConfig?.placements?.length ? place(pool) : undefined,
        updateStrategy: pool.poolConfig?.updateStrategy?.type ?? undefined,
      }),
    ),
    agent: { planeUrl: context.planeUrl, planeCa: context.planeCa },
  });
  const parsed = spaSpecSchema.safeParse(draft);
  if (!parsed.success) {
    const named = new Set(problems.map((p) => p.field));
    for (const issue of parsed.error.issues) {
      const field = entityField(
        issue.path,
        controlPlane?.field,
        workers.map((w) => w.field),
      );
      const message = issue.message.endsWith("received undefined") ? "is missing" : issue.message;
      if (!named.has(field)) problems.push({ field, message });
    }
  }
  if (problems.length > 0 || !parsed.success) return { kind: "problems", problems };
  return { kind: "spec", spec: parsed.data };
}

/** The whole document for one change. `enrolmentToken` is left out once it was used. */
export function desiredCluster(
  spec: SpaSpec,
  change: {
    gatewayUid: string;
    counter: number;
    action: SpaSpec["action"];
    enrolmentToken?: string | undefined;
  },
): DesiredCluster {
  const { gatewayUid, counter, action, enrolmentToken } = change;
  const agent = spec.agent && { ...spec.agent, ...(enrolmentToken ? { enrolmentToken } : {}) };
  return {
    clusterUid: spec.clusterUid,
    gatewayUid,
    counter,
    spec: { ...spec, counter, action, desiredHash: hashOf(spec), ...(agent ? { agent } : {}) },
  };
}

/** The document as it travels (D3). */
export function signDesired(desired: DesiredCluster, sign: (document: string) => string): SignedDocument {
  const document = JSON.stringify(desired);
  return { document, signature: sign(document) };
}

/** SHA-256 of what is wanted, hex: equal for equal wishes, whatever their counter. */
export function hashOf(spec: SpaSpec): string {
  const { counter: _counter, desiredHash: _hash, agent: _agent, ...wish } = spec;
  return createHash("sha256").update(canonical(wish)).digest("hex");
}

/** "v1.35.4" from the annotation or the profile's kubernetes pack; undefined when neither says it. */
export function kubernetesVersion(entity: ClusterEntity): string | undefined {
  const packs = (entity.spec.profiles ?? []).flatMap((profile) => profile.packValues ?? []);
  const tag = packs.find((pack) => pack.name === "kubernetes")?.tag;
  const said = entity.metadata.annotations?.[annotations.kubernetesVersion] ?? tag;
  return said ? `v${said.replace(/^v/, "")}` : undefined;
}

/** "pool", "namespace/pool" → a reference; a bare name means the global pool where the gateway has one of that name. */
export function poolReference(parentPoolUid: string, pools: readonly ReportedPool[]) {
  const [namespace, name] = parentPoolUid.includes("/")
    ? parentPoolUid.split("/", 2)
    : [undefined, parentPoolUid];
  const isGlobal = namespace === undefined && pools.some((p) => p.name === name && p.namespace === undefined);
  if (isGlobal) return { kind: "GlobalInClusterIPPool", name };
  return { kind: "InClusterIPPool", name, namespace: namespace ?? "default" };
}

function merged(base: PlacementEntity | null | undefined, own: PlacementEntity | undefined): PlacementEntity {
  return {
    ...filled(base ?? {}),
    ...filled(own ?? {}),
    network: { ...filled(base?.network ?? {}), ...filled(own?.network ?? {}) },
  }; // D2
}

function placement(from: PlacementEntity, entity: ClusterEntity, context: DesireContext) {
  const { network } = from;
  const staticIp = network?.staticIp ?? entity.spec.cloudConfig?.staticIp ?? Boolean(network?.parentPoolUid);
  const nameservers = entity.metadata.annotations?.[annotations.nameservers]?.split(",").map((s) => s.trim());
  return present({
    datacenter: from.datacenter ?? undefined,
    folder: from.folder ?? undefined,
    computeCluster: from.cluster ?? undefined,
    resourcePool: from.resourcePool ?? undefined,
    datastore: from.datastore ?? undefined,
    storagePolicyName: from.storagePolicyName ?? undefined,
    networkName: network?.networkName ?? undefined,
    imageTemplateFolder: from.imageTemplateFolder ?? undefined,
    staticIp,
    ipPoolRef:
      staticIp && network?.parentPoolUid ? poolReference(network.parentPoolUid, context.pools) : undefined,
    nameservers,
  });
}

function placementProblems(
  place: ReturnType<typeof placement>,
  field: string,
  context: DesireContext,
): Problem[] {
  const names = [
    [place.datacenter, "datacenter"],
    [place.computeCluster, "cluster"],
    [place.networkName, "network.networkName"],
  ] as const;
  const problems = names
    .filter(([value]) => !value)
    .map(([, name]) => ({
      field: `${field}.${name}`,
      message: "is missing, here and in spec.cloudConfig.placement",
    }));
  if (!place.staticIp) return problems;
  const known = context.pools.map((p) => (p.namespace === undefined ? p.name : `${p.namespace}/${p.name}`));
  const choice =
    known.length > 0 ? `the gateway has: ${known.join(", ")}` : "the gateway has reported no pool yet";
  const ref = place.ipPoolRef;
  if (!ref)
    problems.push({
      field: `${field}.network.parentPoolUid`,
      message: `is missing; static addresses need a pool; ${choice}`,
    });
  else if (
    known.length > 0 &&
    !context.pools.some((p) => p.name === ref.name && p.namespace === ref.namespace)
  ) {
    problems.push({
      field: `${field}.network.parentPoolUid`,
      message: `the gateway has no such pool; ${choice}`,
    });
  }
  return problems;
}

function poolProblems(pool: MachinePoolEntity, field: string): Problem[] {
  const problems: Problem[] = [];
  const { size, isControlPlane } = pool.poolConfig ?? {};
  if (isControlPlane && size !== undefined && size !== null && ![1, 3, 5].includes(size)) {
    problems.push({
      field: `${field}.poolConfig.size`,
      message: `a control plane has 1, 3 or 5 machines, not ${size}`,
    });
  }
  if ((pool.cloudConfig?.placements?.length ?? 0) > 1) {
    problems.push({
      field: `${field}.cloudConfig.placements`,
      message: "one placement a pool; several are not carried out yet",
    });
  }
  return problems;
}

function sameNames(pools: readonly { name: string | null | undefined; field: string }[]): Problem[] {
  const repeated = pools.filter(({ name }, i) => name && pools.findIndex((p) => p.name === name) < i);
  return repeated.map(({ name, field }) => ({
    field: `${field}.poolConfig.name`,
    message: `another pool is called '${name}' already`,
  }));
}

function machines(pool: MachinePoolEntity) {
  const { labels, additionalLabels, taints } = pool.poolConfig ?? {};
  const own = labels && !Array.isArray(labels) ? labels : undefined;
  return present({
    instance: filled(pool.cloudConfig?.instanceType ?? {}),
    labels: own || additionalLabels ? { ...own, ...additionalLabels } : undefined,
    taints: taints?.map((t) => present({ key: t.key, value: t.value ?? undefined, effect: t.effect })),
  });
}

const top: Readonly<Record<string, string>> = {
  clusterName: "metadata.name",
  tags: "metadata.labels",
  kubernetesVersion: `metadata.annotations["${annotations.kubernetesVersion}"]`,
  image: `metadata.annotations["${annotations.imageTemplate}"]`,
  access: "spec.cloudConfig",
};
const renamed: Readonly<Record<string, string>> = {
  computeCluster: "cluster",
  networkName: "network.networkName",
  ipPoolRef: "network.parentPoolUid",
  staticIp: "network.staticIp",
};

/** The entity's name for a place in the spec. */
function entityField(
  path: readonly PropertyKey[],
  controlPlane: string | undefined,
  workers: readonly string[],
): string {
  const [first = "", ...rest] = path.map(String);
  if (first === "placement")
    return placeField(`${controlPlane ?? "spec.cloudConfig"}.cloudConfig.placements[0]`, rest);
  if (first === "controlPlane") return poolField(controlPlane ?? "spec.machinepoolconfig", rest);
  if (first === "workerPools") {
    const [index = "", ...inside] = rest;
    return poolField(workers[Number(index)] ?? "spec.machinepoolconfig", inside);
  }
  if (first === "network") return ["spec.cloudConfig.controlPlaneEndpoint", ...rest.slice(1)].join(".");
  const known = top[first];
  return known === undefined
    ? `spec.${[first, ...rest].join(".")}`
    : [known, ...rest.filter(() => first === "access")].join(".");
}

function poolField(pool: string, [first = "", ...rest]: readonly string[]): string {
  if (first === "instance") return [`${pool}.cloudConfig.instanceType`, ...rest].join(".");
  if (first === "placement") return placeField(`${pool}.cloudConfig.placements[0]`, rest);
  return [`${pool}.poolConfig`, first === "replicas" ? "size" : first, ...rest].join(".");
}

function placeField(base: string, [first = "", ...rest]: readonly string[]): string {
  return [base, renamed[first] ?? first, ...(renamed[first] ? [] : rest)].join(".");
}

/** The object without its undefined fields. */
function present<T extends object>(value: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, v]) => v !== undefined)) as never;
}

/** The object without null, undefined and empty-text fields: Go clients send "" for what was not set. */
function filled<T extends object>(value: T): Partial<T> {
  return Object.fromEntries(
    Object.entries(value).filter(([, v]) => v !== undefined && v !== null && v !== ""),
  ) as Partial<T>;
}

function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    inner && typeof inner === "object" && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
