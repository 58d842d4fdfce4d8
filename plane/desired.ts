// From Palette's cluster entity to the desired state a gateway carries out. Pure.
//
//   D1. All mistakes are found at once, each by the name the caller wrote.
//   D2. A field of a pool's placement goes before the cluster's; the control-plane pool's placement is the cluster's default.
//      Several placements of the control-plane pool are its failure domains.
//   D3. The document is what is signed: whoever changes a byte of it breaks the signature.
import { createHash } from "node:crypto";
import type { Problem } from "#core";
import { sizeProblems } from "#proto/render/pool-size.ts";
import { spaSpecSchema, type SpaSpec } from "#proto/kinds/spa.ts";
import type { DesiredCluster, SignedDocument } from "#proto/messages.ts";
import { filled, present } from "./absent.ts";
import { annotations } from "./annotations.ts";
import { entityField } from "./entity-fields.ts";
import { merged, placement, placementProblems, type ReportedPool } from "./placement.ts";
import type { ClusterEntity, MachinePoolEntity } from "./rest/shapes.ts";

/** The Secret on the gateway that holds its vCenter credentials; the plane knows its name only. */
export const vcenterCredential = "vcenter";

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
  const parts = partsOf(entity);
  const problems = mistakes(entity, parts, context);
  const parsed = spaSpecSchema.safeParse(draftOf(entity, parts, context));
  if (parsed.success && problems.length === 0) return { kind: "spec", spec: parsed.data };
  const named = new Set(problems.map((p) => p.field));
  const workers = parts.workers.map((w) => w.field);
  const issues = (parsed.error?.issues ?? []).map((issue) => ({
    field: entityField(issue.path, {
      controlPlane: parts.controlPlane?.field,
      placement: parts.placementField,
      workers,
    }),
    message: issue.message.endsWith("received undefined") ? "is missing" : issue.message,
  }));
  return { kind: "problems", problems: [...problems, ...issues.filter((issue) => !named.has(issue.field))] }; // D1
}

interface PoolAt {
  readonly pool: MachinePoolEntity;
  /** Where it stands in the entity. */
  readonly field: string;
}

interface Parts {
  readonly pools: readonly PoolAt[];
  readonly controlPlane: PoolAt | undefined;
  readonly workers: readonly PoolAt[];
  /** The place that the cluster's placement comes from. */
  readonly placementField: string;
  readonly version: string | undefined;
  readonly host: string | undefined;
}

function partsOf(entity: ClusterEntity): Parts {
  const pools = (entity.spec.machinepoolconfig ?? []).map((pool, i) => ({
    pool,
    field: `spec.machinepoolconfig[${i}]`,
  }));
  const controlPlane = pools.find(({ pool }) => pool.poolConfig?.isControlPlane);
  const { host, ddnsSearchDomain } = entity.spec.cloudConfig?.controlPlaneEndpoint ?? {};
  return {
    pools,
    controlPlane,
    workers: pools.filter(({ pool }) => !pool.poolConfig?.isControlPlane),
    placementField:
      controlPlane && ownPlacement(controlPlane)
        ? `${controlPlane.field}.${firstPlacement}`
        : "spec.cloudConfig.placement",
    version: kubernetesVersion(entity),
    host: host || (ddnsSearchDomain ? `${entity.metadata.name ?? ""}.${ddnsSearchDomain}` : undefined),
  };
}

const firstPlacement = "cloudConfig.placements[0]";
const ownPlacement = ({ pool }: PoolAt) => pool.cloudConfig?.placements?.[0];

/** What a schema cannot see: things that must fit together. */
function mistakes(entity: ClusterEntity, parts: Parts, context: DesireContext): Problem[] {
  const { pools, workers, version, host, placementField } = parts;
  const main = placeFor(parts.controlPlane, entity, context);
  const domains = domainsOf(parts.controlPlane, entity, context);
  const endpointHost = "spec.cloudConfig.controlPlaneEndpoint.host";
  const { type } = entity.spec.cloudConfig?.controlPlaneEndpoint ?? {};
  const leaders = pools.length - workers.length;
  return [
    ...when(
      leaders !== 1,
      "spec.machinepoolconfig",
      `exactly one pool must have poolConfig.isControlPlane, ${leaders} have`,
    ),
    ...pools.flatMap(poolProblems),
    ...sameNames(workers),
    ...etcdProblems(entity.metadata.annotations ?? {}),
    ...when(
      !version,
      `metadata.annotations["${annotations.kubernetesVersion}"]`,
      "no Kubernetes version: set this annotation, or give a profile whose packValues have name 'kubernetes' and a tag like 1.35.4",
    ),
    ...(domains.length > 0
      ? domains.flatMap(({ placement, field }) => placementProblems(placement, field, context.pools))
      : placementProblems(main, placementField, context.pools)),
    ...workers
      .filter(ownPlacement)
      .flatMap((worker) =>
        placementProblems(
          placeFor(worker, entity, context),
          `${worker.field}.${firstPlacement}`,
          context.pools,
        ),
      ),
    ...when(
      !host && type !== "VIP" && Boolean(type),
      endpointHost,
      `is missing; type ${type ?? ""} needs it`,
    ),
    ...when(
      !host && !main.staticIp,
      endpointHost,
      "is missing; without a static address pool there is nothing to take the VIP from",
    ),
  ];
}

function when(wrong: boolean, field: string, message: string): Problem[] {
  return wrong ? [{ field, message }] : [];
}

function placeFor(pool: PoolAt | undefined, entity: ClusterEntity, context: DesireContext) {
  return placement(
    merged(entity.spec.cloudConfig?.placement, pool && ownPlacement(pool)),
    entity,
    context.pools,
  ); // D2
}

function draftOf(entity: ClusterEntity, parts: Parts, context: DesireContext) {
  const { metadata, spec } = entity;
  const { controlPlane, workers, version, host } = parts;
  const notes = metadata.annotations ?? {};
  const config = spec.cloudConfig ?? {};
  return present({
    clusterUid: context.clusterUid,
    clusterName: metadata.name ?? undefined,
    projectUid: context.projectUid,
    tenantUid: context.tenantUid,
    tags: metadata.labels ?? undefined,
    cloud: { type: "vsphere", server: context.server, credentialRef: { name: vcenterCredential } },
    placement: placeFor(controlPlane, entity, context),
    network: present({
      endpoint: present({ type: config.controlPlaneEndpoint?.type ?? undefined, host }),
      podCidr: notes[annotations.podCidr],
      serviceCidr: notes[annotations.serviceCidr],
    }),
    access: present({ sshKeys: config.sshKeys ?? undefined, ntpServers: config.ntpServers ?? undefined }),
    kubernetesVersion: version ?? "v0.0.0", // its absence is told by `mistakes`
    image: present({ template: notes[annotations.imageTemplate] }),
    controlPlane: controlPlane && {
      ...machines(controlPlane.pool),
      ...present({
        replicas: controlPlane.pool.poolConfig?.size ?? undefined,
        etcd: externalEtcd(notes),
        failureDomains: failureDomains(controlPlane, entity, context),
        useControlPlaneAsWorker: controlPlane.pool.poolConfig?.useControlPlaneAsWorker ?? undefined,
      }),
    },
    workerPools: workers.map((worker) =>
      present({
        ...machines(worker.pool),
        name: worker.pool.poolConfig?.name ?? undefined,
        size: worker.pool.poolConfig?.size ?? undefined,
        ...boundsOf(worker.pool),
        placement: ownPlacement(worker) ? placeFor(worker, entity, context) : undefined,
        updateStrategy: worker.pool.poolConfig?.updateStrategy?.type ?? undefined,
      }),
    ),
    agent: { planeUrl: context.planeUrl, planeCa: context.planeCa },
  });
}

/** The places of a control plane that has several; none otherwise. */
function domainsOf(pool: PoolAt | undefined, entity: ClusterEntity, context: DesireContext) {
  const placements = pool?.pool.cloudConfig?.placements ?? [];
  if (!pool || placements.length < 2) return [];
  return placements.map((own, at) => ({
    own,
    field: `${pool.field}.cloudConfig.placements[${at}]`,
    placement: placement(merged(entity.spec.cloudConfig?.placement, own), entity, context.pools),
  }));
}

function failureDomains(pool: PoolAt, entity: ClusterEntity, context: DesireContext) {
  const domains = domainsOf(pool, entity, context);
  if (domains.length === 0) return undefined;
  return domains.map(({ own, placement }, at) =>
    present({
      name: `zone-${at + 1}`,
      placement,
      region: own.region || undefined,
      zone: own.zone || undefined,
    }),
  );
}

/** One of the two annotations alone says nothing (see `etcdProblems`). */
function externalEtcd(notes: Readonly<Record<string, string>>) {
  const { [annotations.etcdEndpoints]: endpoints, [annotations.etcdSecret]: name } = notes;
  if (!endpoints || !name) return undefined;
  return {
    type: "external" as const,
    endpoints: endpoints.split(",").map((s) => s.trim()),
    secretRef: { name },
  };
}

function etcdProblems(notes: Readonly<Record<string, string>>): Problem[] {
  const both = [annotations.etcdEndpoints, annotations.etcdSecret] as const;
  const [missing] = both.filter((name) => !notes[name]);
  if (missing === undefined || both.every((name) => !notes[name])) return [];
  const other = both.find((name) => name !== missing)!;
  return [{ field: `metadata.annotations["${missing}"]`, message: `is missing; ${other} needs it` }];
}

/** The whole document for one change. `enrolmentToken` is left out once it was used. */
export function desiredCluster(
  spec: SpaSpec,
  change: {
    gatewayUid: string;
    counter: number;
    action: SpaSpec["action"];
    pivoted?: boolean;
    deletePolicy?: SpaSpec["deletePolicy"] | undefined;
    enrolmentToken?: string | undefined;
  },
): DesiredCluster {
  const { gatewayUid, counter, action, pivoted, deletePolicy = spec.deletePolicy, enrolmentToken } = change;
  const agent = spec.agent && { ...spec.agent, ...(enrolmentToken ? { enrolmentToken } : {}) };
  return {
    clusterUid: spec.clusterUid,
    gatewayUid,
    counter,
    ...(pivoted ? { pivoted } : {}),
    spec: { ...spec, counter, action, deletePolicy, desiredHash: hashOf(spec), ...(agent ? { agent } : {}) },
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

/** What an autoscaler may make of a pool. Clients that want none send zeros, or the size in all three places. */
function boundsOf({ poolConfig }: MachinePoolEntity): { minSize?: number; maxSize?: number } {
  const { size, minSize, maxSize } = poolConfig ?? {};
  const isOne = minSize === size && maxSize === size;
  if (isOne || !(minSize || maxSize)) return {};
  return present({ minSize: minSize ?? undefined, maxSize: maxSize || undefined });
}

function poolProblems({ pool, field }: PoolAt): Problem[] {
  const { size, isControlPlane = false } = pool.poolConfig ?? {};
  const odd = isControlPlane && typeof size === "number" && ![1, 3, 5].includes(size);
  const bounds = boundsOf(pool);
  const [bound] = Object.keys(bounds);
  return [
    ...when(
      Boolean(odd),
      `${field}.poolConfig.size`,
      `a control plane has 1, 3 or 5 machines, not ${size ?? 0}`,
    ),
    ...when(
      Boolean(isControlPlane) && bound !== undefined,
      `${field}.poolConfig.${bound ?? ""}`,
      "a control plane is not autoscaled; leave minSize and maxSize out",
    ),
    ...(!isControlPlane && size != null ? sizeProblems({ size, ...bounds }) : []).map(
      ({ field: part, message }) => ({ field: `${field}.poolConfig.${part}`, message }),
    ),
    ...when(
      !isControlPlane && (pool.cloudConfig?.placements?.length ?? 0) > 1,
      `${field}.cloudConfig.placements`,
      "one placement a worker pool, several for the control plane alone; make a pool for each place",
    ),
  ];
}

function sameNames(pools: readonly PoolAt[]): Problem[] {
  const nameOf = ({ pool }: PoolAt) => pool.poolConfig?.name;
  const repeated = pools.filter(
    (at, i) => nameOf(at) && pools.findIndex((p) => nameOf(p) === nameOf(at)) < i,
  );
  return repeated.map((at) => ({
    field: `${at.field}.poolConfig.name`,
    message: `another pool is called '${nameOf(at) ?? ""}' already`,
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

function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    inner && typeof inner === "object" && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
