// The clusters a plane wants, and what it was told of them.
//
//   C1. Every change of what is wanted raises the counter by one, in the transaction that stores it. No change, no new counter.
//   C2. A cluster is gone when its gateway says Deleted; it is listed for 72 hours more, then forgotten.
//   C3. A name is unique in its project among the clusters that are not gone.
//   C4. Who may speak of a cluster: its gateway, and its own agent. Others are not heard.
import type { Clock, Database, Logger, Problem, Transaction } from "#core";
import type { Seal } from "#core/store/seal.ts";
import type { SpaSpec } from "#proto/kinds/spa.ts";
import { type ClusterStatus, type DesiredCluster } from "#proto/messages.ts";
import type { Authority } from "./authority.ts";
import { clusterOf, type Cluster, type ClusterRow } from "./cluster-rows.ts";
import { isPivoted } from "./cluster-view.ts";
import { annotations } from "./annotations.ts";
import { desiredCluster, hashOf, specOf, type DesireContext } from "./desired.ts";
import type { Enrolment } from "./enrolment.ts";
import type { Events, Subject } from "./events.ts";
import { accountUid, type Overlord, type Overlords } from "./overlords.ts";
import { notFound, Refusal } from "./refusal.ts";
import type { ClusterEntity } from "./rest/shapes.ts";
import { taken, type Caller, type Tenants } from "./tenants.ts";
import { newUid } from "./uid.ts";

export const tombstoneMs = 72 * 3_600_000;

/** One document to send: what is wanted now, and to whom. */
export interface Unsent {
  readonly to: { readonly role: "gateway" | "agent"; readonly uid: string };
  readonly desired: DesiredCluster;
}

export type Speaker = { readonly role: "gateway" | "agent"; readonly uid: string };

export interface Clusters {
  /** Stores what is asked for and returns the new uid. Throws Invalid with all mistakes. `overlordUid` goes before the annotation. */
  create(caller: Caller, entity: ClusterEntity, overlordUid?: string): Promise<string>;
  /** Newest first; clusters gone for less than 72 h included. */
  list(caller: Caller, filter?: { name?: string | undefined }): Promise<Cluster[]>;
  get(caller: Caller, uid: string): Promise<Cluster>;
  /** Changes the entity; true when that changed what is wanted. Conflict while it is being deleted. */
  change(caller: Caller, uid: string, edit: (entity: ClusterEntity) => ClusterEntity): Promise<boolean>;
  /**
   * Asks for deletion; twice is once. `force` insists, also after it was asked for: the gateway then removes by its ledger whatever it
   * cannot delete in the usual way. A cluster whose gateway is gone is forgotten at once.
   */
  delete(caller: Caller, uid: string, force: boolean): Promise<void>;
  /** What has not been handed to the link yet, of one cluster or of all. */
  unsent(uid?: string): Promise<Unsent[]>;
  markSent(sent: Unsent): Promise<void>;
  /** Counts everything as unsent: for one gateway that may have lost what it knew, or for all. */
  resend(overlordUid?: string): Promise<void>;
  /** In the transaction that redeems an agent's token. */
  admitAgent(tx: Transaction, clusterUid: string | undefined): Promise<string>;
  /** Takes a status in; false when the speaker has no say in that cluster (C4). `gone` when this ended it. */
  heard(from: Speaker, status: ClusterStatus): Promise<"stored" | "refused" | "gone">;
  /** True when the speaker may send events of the cluster. */
  maySpeak(from: Speaker, clusterUid: string): Promise<boolean>;
  /** The gateway of a cluster that is not gone. */
  gatewayOf(clusterUid: string): Promise<string | undefined>;
  /** The clusters of a gateway that have an agent to tell. */
  agentsOf(overlordUid: string): Promise<string[]>;
  /** Forgets tombstones older than 72 h. */
  sweep(): Promise<void>;
}

export interface ClusterDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly log: Logger;
  readonly seal: Seal;
  readonly authority: Authority;
  readonly tenants: Tenants;
  readonly enrolment: Enrolment;
  readonly overlords: Overlords;
  readonly events: Events;
  /** Where agents reach the plane. */
  readonly plane: () => { readonly url: string; readonly ca: string };
}

export function clusterDesk(deps: ClusterDeps): Clusters {
  const { db, clock, log, seal, authority, tenants, enrolment, overlords, events, plane } = deps;
  const about = (uid: string): Subject => ({ kind: "spectrocluster", uid });

  const self: Clusters = {
    async create(caller, entity, overlordUid) {
      const uid = newUid();
      const projectUid = caller.projectUid ?? (await tenants.defaultProject(caller.tenantUid));
      const overlord = await chosenGateway(caller.tenantUid, entity, overlordUid);
      const spec = wanted(
        entity,
        contextFor({ uid, tenantUid: caller.tenantUid, projectUid }, overlord, entity),
      );
      const name = spec.clusterName;
      const now = clock.now();
      await taken(`a cluster called '${name}' exists already in this project`, () =>
        db.write(async (tx) => {
          const token = await enrolment.addAgentToken(tx, caller.tenantUid, uid);
          await tx.run(
            `INSERT INTO clusters (uid, tenant_uid, project_uid, overlord_uid, name, entity, spec, counter, enrolment_token, created_at, modified_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, 1, ?, ?, ?)`,
            ...[
              uid,
              caller.tenantUid,
              projectUid,
              overlord.uid,
              name,
              JSON.stringify(entity),
              JSON.stringify(spec),
            ],
            ...[seal.seal(Buffer.from(token.reveal()), `token ${uid}`), now, now],
          );
          const message = `cluster '${name}' was asked for; gateway '${overlord.name}' will make it`;
          await events.say(tx, about(uid), { severity: "Info", reason: "ClusterRequested", message });
        }),
      );
      return uid;
    },

    async list(caller, { name } = {}) {
      const rows = await db.all<ClusterRow>(
        "SELECT * FROM clusters WHERE tenant_uid = ?1 AND (?2 IS NULL OR project_uid = ?2) AND (?3 IS NULL OR name = ?3) ORDER BY created_at DESC, rowid DESC",
        ...[caller.tenantUid, caller.projectUid ?? null, name ?? null],
      );
      return rows.map(clusterOf);
    },

    async get(caller, uid) {
      const row = await db.get<ClusterRow>("SELECT * FROM clusters WHERE uid = ?", uid);
      const mine = row?.tenant_uid === caller.tenantUid;
      if (!row || !mine || (caller.projectUid !== undefined && caller.projectUid !== row.project_uid))
        throw notFound("cluster", uid);
      return clusterOf(row);
    },

    async change(caller, uid, edit) {
      const known = await self.get(caller, uid);
      const overlord = await overlords.find(known.overlordUid);
      if (!overlord) throw notFound("private cloud gateway", known.overlordUid);
      return db.write(async (tx) => {
        const row = await tx.get<ClusterRow>("SELECT * FROM clusters WHERE uid = ?", uid);
        if (!row) throw notFound("cluster", uid);
        if (row.delete_requested_at !== null) {
          throw new Refusal(
            "Conflict",
            "ClusterDeleting",
            `cluster '${row.name}' is being deleted; it cannot be changed any more`,
          );
        }
        const before = clusterOf(row);
        const entity = edit(before.entity);
        const spec = wanted(entity, contextFor(before, overlord, entity));
        if (spec.clusterName !== row.name) {
          throw invalid([
            { field: "metadata.name", message: `a cluster keeps its name; this one is '${row.name}'` },
          ]);
        }
        if (hashOf(spec) === hashOf(before.spec)) return false; // C1
        await tx.run(
          "UPDATE clusters SET entity = ?, spec = ?, counter = counter + 1, modified_at = ? WHERE uid = ?",
          ...[JSON.stringify(entity), JSON.stringify(spec), clock.now(), uid],
        );
        await events.say(tx, about(uid), {
          severity: "Info",
          reason: "ClusterChanged",
          message: `what is wanted of cluster '${row.name}' was changed`,
        });
        return true;
      });
    },

    async delete(caller, uid, force) {
      const known = await self.get(caller, uid);
      if (known.deletedAt !== undefined) return;
      const overlord = await overlords.find(known.overlordUid);
      const orphaned = !overlord || overlord.deletedAt !== undefined;
      await db.write(async (tx) => {
        const { changes } = await tx.run(
          `UPDATE clusters SET delete_requested_at = ifnull(delete_requested_at, ?1), delete_forced = max(delete_forced, ?2),
             counter = counter + 1, modified_at = ?1
           WHERE uid = ?3 AND (delete_requested_at IS NULL OR delete_forced < ?2)`,
          ...[clock.now(), force ? 1 : 0, uid],
        );
        const say = (severity: "Info" | "Warn", reason: string, message: string) =>
          events.say(tx, about(uid), { severity, reason, message });
        if (changes > 0)
          await say(
            force ? "Warn" : "Info",
            "DeletionRequested",
            `deletion of cluster '${known.name}' was asked for${force ? ", by force" : ""}`,
          );
        if (!orphaned) return;
        await say(
          "Warn",
          "Forgotten",
          `cluster '${known.name}' was forgotten because its gateway is gone; machines and addresses it had may remain`,
        );
        await bury(tx, uid);
      });
      if (orphaned) await authority.revoke({ role: "agent", uid }, "cluster deleted");
    },

    async unsent(uid) {
      const rows = await db.all<ClusterRow>(
        `SELECT * FROM clusters WHERE deleted_at IS NULL AND (?1 IS NULL OR uid = ?1)
         AND (published_gateway < counter OR published_agent < counter) ORDER BY created_at, rowid`,
        uid ?? null,
      );
      return rows.flatMap((row) => {
        const known = clusterOf(row);
        const action = known.deleteRequestedAt === undefined ? ("Create" as const) : ("Delete" as const);
        const token =
          row.enrolment_token && Buffer.from(seal.open(row.enrolment_token, `token ${row.uid}`)).toString();
        const deletePolicy = known.deleteForced ? ("Force" as const) : undefined;
        const change = { gatewayUid: row.overlord_uid, counter: row.counter, action, deletePolicy };
        const list: Unsent[] = [];
        if (row.published_gateway < row.counter) {
          const desired = desiredCluster(known.spec, {
            ...change,
            pivoted: isPivoted(known.seen),
            enrolmentToken: token ?? undefined,
          });
          list.push({ to: { role: "gateway", uid: row.overlord_uid }, desired });
        }
        if (row.published_agent < row.counter && isPivoted(known.seen)) {
          list.push({ to: { role: "agent", uid: row.uid }, desired: desiredCluster(known.spec, change) });
        }
        return list;
      });
    },

    async markSent({ to, desired }) {
      const column = to.role === "gateway" ? "published_gateway" : "published_agent";
      await db.write((tx) =>
        tx.run(
          `UPDATE clusters SET ${column} = max(${column}, ?) WHERE uid = ?`,
          desired.counter,
          desired.clusterUid,
        ),
      );
    },

    async resend(overlordUid) {
      await db.write((tx) =>
        tx.run(
          "UPDATE clusters SET published_gateway = 0, published_agent = 0 WHERE deleted_at IS NULL AND (?1 IS NULL OR overlord_uid = ?1)",
          overlordUid ?? null,
        ),
      );
    },

    async admitAgent(tx, clusterUid) {
      const row = await tx.get<ClusterRow>(
        "SELECT * FROM clusters WHERE uid = ? AND deleted_at IS NULL",
        clusterUid ?? "",
      );
      if (!row) throw notFound("cluster", clusterUid ?? "");
      await tx.run("UPDATE clusters SET enrolment_token = NULL WHERE uid = ?", row.uid);
      await events.say(tx, about(row.uid), {
        severity: "Info",
        reason: "AgentEnrolled",
        message: `the agent of cluster '${row.name}' enrolled at the plane`,
      });
      return row.uid;
    },

    async heard(from, status) {
      const outcome = await db.write(async (tx) => {
        const row = await tx.get<ClusterRow>("SELECT * FROM clusters WHERE uid = ?", status.clusterUid);
        if (!row || !speaksFor(from, row)) return "refused" as const;
        if (row.deleted_at !== null) return "stored" as const;
        const column = from.role === "gateway" ? "gateway_status" : "agent_status";
        await tx.run(`UPDATE clusters SET ${column} = ? WHERE uid = ?`, JSON.stringify(status), row.uid);
        if (from.role !== "gateway" || status.state !== "Deleted" || row.delete_requested_at === null)
          return "stored" as const;
        await events.say(tx, about(row.uid), {
          severity: "Info",
          reason: "ClusterDeleted",
          message: `cluster '${row.name}' is gone`,
        });
        await bury(tx, row.uid); // C2
        return "gone" as const;
      });
      if (outcome === "gone")
        await authority.revoke({ role: "agent", uid: status.clusterUid }, "cluster deleted");
      return outcome;
    },

    async maySpeak(from, clusterUid) {
      const row = await db.get<ClusterRow>("SELECT * FROM clusters WHERE uid = ?", clusterUid);
      return row !== undefined && speaksFor(from, row);
    },

    async gatewayOf(clusterUid) {
      const row = await db.get<{ overlord_uid: string }>(
        "SELECT overlord_uid FROM clusters WHERE uid = ? AND deleted_at IS NULL",
        clusterUid,
      );
      return row?.overlord_uid;
    },

    async agentsOf(overlordUid) {
      const rows = await db.all<ClusterRow>(
        "SELECT * FROM clusters WHERE overlord_uid = ? AND deleted_at IS NULL ORDER BY created_at, rowid",
        overlordUid,
      );
      return rows.filter((row) => isPivoted(clusterOf(row).seen)).map(({ uid }) => uid);
    },

    async sweep() {
      const old = await db.all<{ uid: string }>(
        "SELECT uid FROM clusters WHERE deleted_at < ?",
        clock.now() - tombstoneMs,
      );
      for (const { uid } of old) {
        await db.write(async (tx) => {
          await events.drop(tx, about(uid));
          await tx.run("DELETE FROM clusters WHERE uid = ?", uid);
        });
        log.info("forgot a deleted cluster", { cluster: uid });
      }
    },
  };
  return self;

  async function bury(tx: Transaction, uid: string): Promise<void> {
    await enrolment.dropAgentTokens(tx, uid);
    await tx.run(
      "UPDATE clusters SET deleted_at = ?, enrolment_token = NULL WHERE uid = ?",
      clock.now(),
      uid,
    );
  }

  /** By query, annotation or account; where none says it, the tenant's only gateway. */
  async function chosenGateway(
    tenantUid: string,
    entity: ClusterEntity,
    asked: string | undefined,
  ): Promise<Overlord> {
    const all = (await overlords.list(tenantUid)).filter((o) => o.revokedAt === undefined);
    const account = entity.spec.cloudAccountUid || undefined;
    const said = asked ?? entity.metadata.annotations?.[annotations.overlordUid];
    const byAccount = all.find(
      (o) => o.heartbeat?.vcenter && accountUid(o.uid, o.heartbeat.vcenter.server) === account,
    );
    if (account !== undefined && !byAccount) {
      throw invalid([
        {
          field: "spec.cloudAccountUid",
          message: "no gateway has reported this account; see GET /v1/cloudaccounts/vsphere",
        },
      ]);
    }
    const found =
      said === undefined
        ? (byAccount ?? (all.length === 1 ? all[0] : undefined))
        : all.find((o) => o.uid === said);
    if (found) return found;
    const field = `metadata.annotations["${annotations.overlordUid}"]`;
    if (said !== undefined)
      throw invalid([{ field, message: `there is no private cloud gateway '${said}'` }]);
    const message =
      all.length === 0
        ? "no private cloud gateway is paired yet; pair one first"
        : `say which gateway makes the cluster: ${all.map((o) => `${o.uid} (${o.name})`).join(", ")}`;
    throw invalid([{ field, message }]);
  }

  function contextFor(
    known: Pick<Cluster, "uid" | "tenantUid" | "projectUid">,
    overlord: Overlord,
    entity: ClusterEntity,
  ): DesireContext {
    const server = overlord.heartbeat?.vcenter?.server;
    if (server === undefined) {
      throw new Refusal(
        "Unavailable",
        "OverlordNotReady",
        `gateway '${overlord.name}' has not reported its vCenter account yet; try again when it is Running (cluster '${entity.metadata.name ?? ""}')`,
        { retryAfterMs: 5_000 },
      );
    }
    return {
      clusterUid: known.uid,
      tenantUid: known.tenantUid,
      projectUid: known.projectUid,
      server,
      pools: overlord.heartbeat?.pools ?? [],
      planeUrl: plane().url,
      planeCa: plane().ca,
    };
  }
}

function wanted(entity: ClusterEntity, context: DesireContext): SpaSpec {
  const mapped = specOf(entity, context);
  if (mapped.kind === "problems") throw invalid(mapped.problems);
  return mapped.spec;
}

/** All mistakes in one refusal. */
export function invalid(problems: readonly Problem[]): Refusal {
  const text = problems.map((p) => `${p.field}: ${p.message}`).join("; ");
  return new Refusal("Invalid", "ValidationFailed", text, { problems });
}

function speaksFor(from: Speaker, row: ClusterRow): boolean {
  return from.role === "gateway" ? row.overlord_uid === from.uid : row.uid === from.uid;
}
