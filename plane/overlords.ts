// The gateways a plane knows ("overlords" in Palette's API).
//
//   O1. A gateway that was revoked or deleted is refused by certificate, at the link and at renewal; pairing again with a code that
//       was bound to it lets a revoked one back in under its uid.
//   O2. A gateway with clusters is not deleted unless told twice: its clusters would have nobody to delete them.
import { createHash } from "node:crypto";
import type { Clock, Database, Row, Transaction } from "#core";
import { heartbeatSchema, type Heartbeat } from "#proto/messages.ts";
import type { Authority } from "./authority.ts";
import type { Events } from "./events.ts";
import type { Health } from "./health.ts";
import { readBack } from "./read-back.ts";
import { notFound, Refusal } from "./refusal.ts";
import { newUid } from "./uid.ts";

export interface Overlord {
  readonly uid: string;
  readonly tenantUid: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly createdAt: number;
  readonly modifiedAt: number;
  readonly revokedAt: number | undefined;
  readonly deletedAt: number | undefined;
  readonly heartbeatAt: number | undefined;
  readonly heartbeat: Heartbeat | undefined;
}

export interface MetadataChange {
  readonly name?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

export interface Overlords {
  list(tenantUid: string, name?: string): Promise<Overlord[]>;
  get(tenantUid: string, uid: string): Promise<Overlord>;
  /** Whatever tenant it is of; undefined when unknown. Deleted ones included. */
  find(uid: string): Promise<Overlord | undefined>;
  /** In the transaction that redeems a code: a new gateway, or the one the code was bound to, let in again. */
  admit(
    tx: Transaction,
    code: { tenantUid: string; boundUid: string | undefined },
    name: string | undefined,
  ): Promise<string>;
  update(tenantUid: string, uid: string, change: MetadataChange): Promise<void>;
  /** Refuses its certificates from now on (O1). Twice is once. */
  revoke(tenantUid: string, uid: string, reason: string): Promise<void>;
  delete(tenantUid: string, uid: string, force: boolean): Promise<void>;
}

interface OverlordRow extends Row {
  uid: string;
  tenant_uid: string;
  name: string;
  labels: string;
  annotations: string;
  created_at: number;
  modified_at: number;
  revoked_at: number | null;
  deleted_at: number | null;
  heartbeat_at: number | null;
  heartbeat: string | null;
  health: Health;
}

export function overlordDesk(deps: {
  db: Database;
  clock: Clock;
  authority: Authority;
  events: Events;
}): Overlords {
  const { db, clock, authority, events } = deps;
  const self: Overlords = {
    async list(tenantUid, name) {
      const rows = await db.all<OverlordRow>(
        "SELECT * FROM overlords WHERE tenant_uid = ? AND deleted_at IS NULL ORDER BY created_at, rowid",
        tenantUid,
      );
      return rows.filter((row) => name === undefined || row.name === name).map(overlord);
    },

    async get(tenantUid, uid) {
      const found = await self.find(uid);
      if (found?.tenantUid !== tenantUid || found.deletedAt !== undefined)
        throw notFound("private cloud gateway", uid);
      return found;
    },

    async find(uid) {
      const row = await db.get<OverlordRow>("SELECT * FROM overlords WHERE uid = ?", uid);
      return row && overlord(row);
    },

    async admit(tx, { tenantUid, boundUid }, name) {
      const now = clock.now();
      if (boundUid !== undefined) {
        const { changes } = await tx.run(
          "UPDATE overlords SET revoked_at = NULL, modified_at = ? WHERE uid = ? AND tenant_uid = ? AND deleted_at IS NULL",
          ...[now, boundUid, tenantUid],
        );
        if (changes === 0) throw notFound("private cloud gateway", boundUid);
        await tx.run(
          "UPDATE certificates SET revoked_at = ?, reason = 'paired again' WHERE role = 'gateway' AND uid = ? AND revoked_at IS NULL",
          ...[now, boundUid],
        );
        await tx.run(
          "UPDATE clusters SET published_gateway = 0 WHERE overlord_uid = ? AND deleted_at IS NULL", // it may have lost all it knew
          boundUid,
        );
        await events.say(
          tx,
          { kind: "overlord", uid: boundUid },
          { severity: "Info", reason: "PairedAgain", message: "the gateway was paired again" },
        );
        return boundUid;
      }
      const uid = newUid();
      const called = name || `gateway-${uid.slice(0, 6)}`;
      await tx.run(
        "INSERT INTO overlords (uid, tenant_uid, name, created_at, modified_at) VALUES (?, ?, ?, ?, ?)",
        ...[uid, tenantUid, called, now, now],
      );
      await events.say(
        tx,
        { kind: "overlord", uid },
        { severity: "Info", reason: "Paired", message: `the gateway '${called}' was paired` },
      );
      return uid;
    },

    async update(tenantUid, uid, change) {
      const now = await self.get(tenantUid, uid);
      await db.write((tx) =>
        tx.run(
          "UPDATE overlords SET name = ?, labels = ?, annotations = ?, modified_at = ? WHERE uid = ?",
          ...[
            change.name || now.name,
            JSON.stringify(change.labels ?? now.labels),
            JSON.stringify(change.annotations ?? now.annotations),
          ],
          ...[clock.now(), uid],
        ),
      );
    },

    async revoke(tenantUid, uid, reason) {
      await self.get(tenantUid, uid);
      await authority.revoke({ role: "gateway", uid }, reason);
      await db.write(async (tx) => {
        const { changes } = await tx.run(
          "UPDATE overlords SET revoked_at = ?, modified_at = ? WHERE uid = ? AND revoked_at IS NULL",
          ...[clock.now(), clock.now(), uid],
        );
        if (changes === 0) return;
        await events.say(
          tx,
          { kind: "overlord", uid },
          { severity: "Warn", reason: "Revoked", message: `the gateway was revoked: ${reason}` },
        );
      });
    },

    async delete(tenantUid, uid, force) {
      const { name } = await self.get(tenantUid, uid);
      await db.write(async (tx) => {
        const clusters = await tx.all<{ name: string }>(
          "SELECT name FROM clusters WHERE overlord_uid = ? AND deleted_at IS NULL ORDER BY name LIMIT 4",
          uid,
        );
        if (clusters.length > 0 && !force) {
          const names =
            clusters
              .slice(0, 3)
              .map((c) => c.name)
              .join(", ") + (clusters.length > 3 ? ", ..." : "");
          throw new Refusal(
            "Conflict",
            "OverlordInUse",
            `gateway '${name}' still has clusters (${names}): delete them first, or delete it with force=true and their machines stay`, // O2
          );
        }
        await tx.run(
          "UPDATE overlords SET deleted_at = ?, revoked_at = coalesce(revoked_at, ?) WHERE uid = ?",
          clock.now(),
          clock.now(),
          uid,
        );
        await tx.run(
          "DELETE FROM enrolment_codes WHERE role = 'gateway' AND bound_uid = ? AND used_at IS NULL",
          uid,
        );
      });
      await authority.revoke({ role: "gateway", uid }, "gateway deleted");
    },
  };
  return self;
}

/** The uid of the vCenter account a gateway reported: the same for the same gateway and server. */
export function accountUid(overlordUid: string, server: string): string {
  return createHash("sha256").update(`${overlordUid} ${server}`).digest("hex").slice(0, 24);
}

function overlord(row: OverlordRow): Overlord {
  return {
    uid: row.uid,
    tenantUid: row.tenant_uid,
    name: row.name,
    labels: JSON.parse(row.labels) as Record<string, string>,
    annotations: JSON.parse(row.annotations) as Record<string, string>,
    createdAt: row.created_at,
    modifiedAt: row.modified_at,
    revokedAt: row.revoked_at ?? undefined,
    deletedAt: row.deleted_at ?? undefined,
    heartbeatAt: row.heartbeat_at ?? undefined,
    heartbeat: readBack(heartbeatSchema, row.heartbeat),
  };
}
