// From the plane's records to the bodies of the REST face. Pure.
import { formatTime } from "#core";
import { viewOf } from "../cluster-view.ts";
import type { Cluster } from "../cluster-rows.ts";
import type { StoredEvent, Subject } from "../events.ts";
import { healthOf, healthWord, type HealthLimits } from "../health.ts";
import { accountUid, type Overlord } from "../overlords.ts";
import type {
  ClusterStatusBody,
  EventBody,
  IpPoolBody,
  OverlordBody,
  SpectroClusterBody,
  VsphereAccountBody,
} from "./shapes.ts";

export function overlordBody(
  overlord: Overlord,
  seen: { connected: boolean; now: number; limits: HealthLimits },
): OverlordBody {
  const { heartbeat, heartbeatAt, revokedAt } = overlord;
  const health = healthOf(heartbeatAt, seen.now, seen.limits);
  const vcenter = heartbeat?.vcenter;
  const state =
    revokedAt !== undefined
      ? "Revoked"
      : health === "unknown"
        ? "Pending"
        : health === "healthy"
          ? "Running"
          : "Unreachable";
  const conditions = [
    ...(health === "alerting" || health === "unhealthy"
      ? [{ type: "HeartbeatMissed", message: `no heartbeat since ${formatTime(heartbeatAt ?? 0)}` }]
      : []),
    ...(vcenter && !vcenter.reachable
      ? [
          {
            type: "VcenterUnreachable",
            message: vcenter.message ?? `the gateway does not reach vCenter ${vcenter.server}`,
          },
        ]
      : []),
  ];
  return {
    kind: "overlord",
    metadata: {
      name: overlord.name,
      uid: overlord.uid,
      labels: { ...overlord.labels },
      annotations: { ...overlord.annotations },
      creationTimestamp: formatTime(overlord.createdAt),
      lastModifiedTimestamp: formatTime(overlord.modifiedAt),
    },
    spec: {
      ...(vcenter ? { cloudAccountUid: accountUid(overlord.uid, vcenter.server) } : {}),
      ipPools: poolBodies(overlord),
      isSelfHosted: false,
      isSystem: false,
      tenantUid: overlord.tenantUid,
    },
    status: {
      isActive: seen.connected,
      isReady: state === "Running" && vcenter?.reachable === true,
      state,
      health: {
        state: healthWord(health),
        ...(heartbeat ? { agentVersion: heartbeat.version } : {}),
        ...(heartbeatAt === undefined ? {} : { lastHeartBeatTimestamp: formatTime(heartbeatAt) }),
        conditions,
      },
    },
  };
}

export function poolBodies(overlord: Overlord): IpPoolBody[] {
  return (overlord.heartbeat?.pools ?? []).map(({ name, namespace, free, used }) => ({
    metadata: { name, uid: namespace === undefined ? name : `${namespace}/${name}` },
    spec: { priavetGatewayUid: overlord.uid },
    status: { inUse: used > 0, free, used },
  }));
}

/** The vCenter account a gateway reported; undefined before it did. */
export function accountBody(overlord: Overlord): VsphereAccountBody | undefined {
  const vcenter = overlord.heartbeat?.vcenter;
  if (!vcenter) return undefined;
  return {
    apiVersion: "v1",
    kind: "VsphereAccount",
    metadata: {
      name: `${overlord.name}-vcenter`,
      uid: accountUid(overlord.uid, vcenter.server),
      annotations: { overlordUid: overlord.uid },
    },
    spec: { vcenterServer: vcenter.server },
    status: {
      state: vcenter.reachable ? "Running" : "Error",
      ...(vcenter.message ? { message: vcenter.message } : {}),
    },
  };
}

export interface ClusterSight {
  readonly now: number;
  readonly limits: HealthLimits;
}

export function clusterBody(cluster: Cluster, sight: ClusterSight): SpectroClusterBody {
  const view = viewOf(cluster.seen);
  const { metadata, spec } = cluster.entity;
  return {
    apiVersion: "v1",
    kind: "SpectroCluster",
    metadata: {
      name: cluster.name,
      uid: cluster.uid,
      labels: { ...metadata.labels },
      annotations: {
        ...metadata.annotations,
        overlordUid: cluster.overlordUid,
        projectUid: cluster.projectUid,
        tenantUid: cluster.tenantUid,
      },
      creationTimestamp: formatTime(cluster.createdAt),
      lastModifiedTimestamp: formatTime(cluster.modifiedAt),
      ...(cluster.deleteRequestedAt === undefined
        ? {}
        : { deletionTimestamp: formatTime(cluster.deleteRequestedAt) }),
    },
    spec: {
      cloudType: "vsphere",
      cloudConfigRef: { kind: "VsphereCloudConfig", uid: cluster.uid },
      ...(spec.cloudAccountUid ? { cloudAccountUid: spec.cloudAccountUid } : {}),
      ...(spec.cloudConfig ? { cloudConfig: spec.cloudConfig } : {}),
      machinepoolconfig: spec.machinepoolconfig ?? [],
    },
    status: {
      state: view.state,
      conditions: [...view.conditions],
      apiEndpoints: view.endpoint ? [view.endpoint] : [],
      health: clusterHealth(cluster, sight),
    },
  };
}

export function statusBody(cluster: Cluster, sight: ClusterSight): ClusterStatusBody {
  const view = viewOf(cluster.seen);
  return {
    uid: cluster.uid,
    name: cluster.name,
    ...view,
    health: clusterHealth(cluster, sight),
    counter: cluster.counter,
  };
}

function clusterHealth({ heartbeat, heartbeatAt }: Cluster, { now, limits }: ClusterSight) {
  return {
    state: healthWord(healthOf(heartbeatAt, now, limits)),
    ...(heartbeat ? { agentVersion: heartbeat.version } : {}),
    ...(heartbeatAt === undefined ? {} : { lastHeartBeatTimestamp: formatTime(heartbeatAt) }),
    ...(heartbeat?.message ? { message: heartbeat.message } : {}),
  };
}

export function eventBody({ sequence, event }: StoredEvent, subject: Subject): EventBody {
  const { id, at, severity, reason, message, component, involvedObject, milestone, attempt } = event;
  return {
    metadata: { uid: id, creationTimestamp: at },
    sequence,
    severity,
    reason,
    message,
    source: { component },
    relatedObject: subject,
    ...(involvedObject ? { involvedObject } : {}),
    ...(milestone === undefined ? {} : { milestone }),
    ...(attempt === undefined ? {} : { attempt }),
  };
}
