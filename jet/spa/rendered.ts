// The wish and what was found out about it, as objects and documents.
import type { Draft, Kind, Resource } from "#core";
import {
  cluster,
  encode64,
  inClusterIPPool,
  kubeadmControlPlane,
  secret,
  vsphereCluster,
  vsphereMachineTemplate,
  type DesiredState,
} from "#proto";
import { controlPlanePlacement } from "#proto/render/addresses.ts";
import { machineTemplate } from "#proto/render/machine-template.ts";
import {
  childPool,
  clusterObject,
  identitySecret,
  vsphereClusterObject,
  type LeasedAddress,
  type Resolved,
} from "../render/cluster.ts";
import { controlPlane } from "../render/control-plane.ts";
import { etcdSecrets, type EtcdSecret } from "../render/etcd.ts";
import { zoneObjects } from "#proto/render/zones.ts";
import { isBorn, objectsOf, renderedTemplate, type NeedSeen, type SpaSeen } from "./seen.ts";

interface Wanted {
  readonly kind: Kind;
  readonly object: Draft<Resource>;
}

/** All objects of a cluster on the gateway, in the order in which they are written (L2). */
export function renderAll(seen: SpaSeen): Wanted[] {
  const thumbprint = thumbprintSeen(seen);
  const spec = { ...seen.spa.spec, cloud: { ...seen.spa.spec.cloud, ...(thumbprint ? { thumbprint } : {}) } };
  const endpoint = resolvedEndpoint(seen);
  const template = templateSeen(seen);
  const identity = identityOf(seen);
  if (!endpoint || !template || !identity || (seen.etcd && !seen.etcd.access)) return [];
  const resolved: Resolved = { endpoint, template, mirror: seen.images?.source.mirror };
  const machine = machineTemplate(
    vsphereMachineTemplate,
    spec,
    seen.names.namespace,
    seen.names.controlPlane,
    {
      placement: controlPlanePlacement(spec),
      instance: spec.controlPlane.instance,
      template,
    },
  );
  return [
    { kind: secret, object: identity },
    ...childPools(seen).map((object) => ({ kind: inClusterIPPool, object })),
    ...etcdSecretsOf(seen).map((object) => ({ kind: secret, object })),
    { kind: vsphereMachineTemplate, object: machine },
    { kind: kubeadmControlPlane, object: controlPlane(spec, resolved, machine.metadata.name, 1) },
    { kind: vsphereCluster, object: vsphereClusterObject(spec, resolved) },
    ...zoneObjects(spec), // after the VSphereCluster, whose credential they are looked up with
    { kind: cluster, object: clusterObject(spec, resolved) },
  ];
}

/** The identity Secret from the credential as it is now; undefined while there is none. */
export function identityOf(seen: Pick<SpaSeen, "credential" | "spa">) {
  const { credential } = seen;
  if (credential.kind === "missing") return undefined;
  return identitySecret(seen.spa.spec, {
    username: encode64(credential.username),
    password: encode64(credential.password.reveal()),
  });
}

/** The Secrets of an external etcd, from the gateway's Secret as it is now; none where there is nothing to write. */
export function etcdSecretsOf({ etcd, spa }: Pick<SpaSeen, "etcd" | "spa">): EtcdSecret[] {
  return etcd?.access ? etcdSecrets(spa.spec, etcd.access) : [];
}

/** The cluster's own pools, from the leased addresses. */
export function childPools(
  seen: Pick<SpaSeen, "needs" | "spa">,
): (Draft<Resource> & { readonly metadata: { readonly name?: string } })[] {
  return seen.needs.map((need) =>
    childPool(
      seen.spa.spec,
      need.need.child,
      poolAddresses(need),
      need.need.vip ? need.leases[0]?.address : undefined,
    ),
  );
}

function poolAddresses({ need, leases }: NeedSeen): LeasedAddress[] {
  return leases.slice(need.vip ? 1 : 0).flatMap((lease) => (lease.address ? [lease.address] : []));
}

/** The API's endpoint: as wished, or the first leased address. */
export function resolvedEndpoint(seen: Pick<SpaSeen, "needs" | "spa">): Resolved["endpoint"] | undefined {
  const { host, port } = seen.spa.spec.network.endpoint;
  if (host) return { host, port };
  const vip =
    seen.needs.find((n) => n.need.vip)?.leases[0]?.address?.address ?? seen.spa.status?.endpoint?.host;
  return vip ? { host: vip, port } : undefined;
}

export function templateSeen(seen: SpaSeen): string | undefined {
  if (seen.cloud.kind === "answered" && seen.cloud.template) return seen.cloud.template;
  return (
    renderedTemplate(seen.gateway) ??
    (isBorn(seen) ? (seen.spa.status?.template ?? seen.spa.spec.image.template) : undefined)
  );
}

/** The certificate that CAPV shall insist on: as wished, as the cloud showed it, or as written down before. */
export function thumbprintSeen(seen: SpaSeen): string | undefined {
  const { thumbprint } = seen.spa.spec.cloud;
  if (thumbprint) return thumbprint;
  if (seen.cloud.kind === "answered" && seen.cloud.thumbprint) return seen.cloud.thumbprint;
  if (seen.certificate) return seen.certificate;
  const told =
    seen.workload.kind === "reachable"
      ? seen.workload.spectroCluster?.spec.desired.cloud.thumbprint
      : undefined;
  return objectsOf(seen.gateway, vsphereCluster)[0]?.spec.thumbprint ?? told;
}

/** The wish without what only the gateway may hold, and with what only the gateway could find out. */
export function desiredState(seen: SpaSeen): DesiredState {
  const { agent: _agent, cloud, ...spec } = seen.spa.spec;
  const { credentialRef: _ref, ...rest } = cloud;
  const template = templateSeen(seen);
  const endpoint = resolvedEndpoint(seen);
  const thumbprint = thumbprintSeen(seen);
  return {
    ...spec,
    cloud: { ...rest, ...(thumbprint ? { thumbprint } : {}) },
    ...(template ? { image: { ...spec.image, template } } : {}),
    ...(endpoint
      ? { network: { ...spec.network, endpoint: { ...spec.network.endpoint, ...endpoint } } }
      : {}),
  };
}
