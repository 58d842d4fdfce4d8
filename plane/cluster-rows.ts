// A cluster as it is stored, and as the rest of the plane sees it.
import type { Row } from "#core";
import type { SpaSpec } from "#proto/kinds/spa.ts";
import { clusterStatusSchema, heartbeatSchema, type Heartbeat } from "#proto/messages.ts";
import type { ClusterSeen } from "./cluster-view.ts";
import { readBack } from "./read-back.ts";
import type { Health } from "./health.ts";
import type { ClusterEntity } from "./rest/shapes.ts";

export interface Cluster {
  readonly uid: string;
  readonly tenantUid: string;
  readonly projectUid: string;
  readonly overlordUid: string;
  readonly name: string;
  readonly entity: ClusterEntity;
  readonly spec: SpaSpec;
  readonly counter: number;
  readonly seen: ClusterSeen;
  readonly heartbeatAt: number | undefined;
  readonly heartbeat: Heartbeat | undefined;
  readonly createdAt: number;
  readonly modifiedAt: number;
  readonly deleteRequestedAt: number | undefined;
  readonly deleteForced: boolean;
  readonly deletedAt: number | undefined;
}

export interface ClusterRow extends Row {
  uid: string;
  tenant_uid: string;
  project_uid: string;
  overlord_uid: string;
  name: string;
  entity: string;
  spec: string;
  counter: number;
  enrolment_token: Buffer | null;
  published_gateway: number;
  published_agent: number;
  gateway_status: string | null;
  agent_status: string | null;
  heartbeat_at: number | null;
  heartbeat: string | null;
  health: Health;
  created_at: number;
  modified_at: number;
  delete_requested_at: number | null;
  delete_forced: number;
  deleted_at: number | null;
}

export function clusterOf(row: ClusterRow): Cluster {
  const status = (text: string | null) =>
    text === null ? undefined : clusterStatusSchema.parse(JSON.parse(text));
  return {
    uid: row.uid,
    tenantUid: row.tenant_uid,
    projectUid: row.project_uid,
    overlordUid: row.overlord_uid,
    name: row.name,
    entity: JSON.parse(row.entity) as ClusterEntity,
    spec: JSON.parse(row.spec) as SpaSpec,
    counter: row.counter,
    seen: {
      gateway: status(row.gateway_status),
      agent: status(row.agent_status),
      deleteRequested: row.delete_requested_at !== null,
      deleted: row.deleted_at !== null,
    },
    heartbeatAt: row.heartbeat_at ?? undefined,
    heartbeat: readBack(heartbeatSchema, row.heartbeat),
    createdAt: row.created_at,
    modifiedAt: row.modified_at,
    deleteRequestedAt: row.delete_requested_at ?? undefined,
    deleteForced: row.delete_forced !== 0,
    deletedAt: row.deleted_at ?? undefined,
  };
}
