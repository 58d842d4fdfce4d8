// Tenants, their projects and API keys. A key is shown once, at its making; the plane keeps its SHA-256 (it is 256 random bits).
import { createHash, randomBytes } from "node:crypto";
import { Secret, type Clock, type Database } from "#core";
import { notFound, Refusal } from "./refusal.ts";
import { newUid } from "./uid.ts";

/** Who is asking: found from the headers, handed to every desk. */
export interface Caller {
  readonly tenantUid: string;
  /** Set: only this project's things. Absent: the tenant's scope. */
  readonly projectUid: string | undefined;
}

export interface Named {
  readonly uid: string;
  readonly name: string;
  readonly createdAt: number;
}

export interface Tenants {
  /** A new tenant with a project called Default and an API key for all of it. AlreadyExists when the name is taken. */
  add(name: string): Promise<{ tenantUid: string; projectUid: string; apiKey: Secret }>;
  /** The first tenant, made when there is none yet; `apiKey` only then. */
  bootstrap(name: string): Promise<{ tenantUid: string; projectUid: string; apiKey?: Secret }>;
  /** Unauthorized for a key that is unknown or revoked; Forbidden for a project the key has no right to. */
  identify(apiKey: string | undefined, projectUid: string | undefined): Promise<Caller>;
  defaultProject(tenantUid: string): Promise<string>;
  projects(tenantUid: string): Promise<Named[]>;
  addProject(tenantUid: string, name: string): Promise<string>;
  apiKeys(tenantUid: string): Promise<(Named & { projectUid: string | undefined })[]>;
  addApiKey(tenantUid: string, name: string, projectUid?: string): Promise<{ uid: string; apiKey: Secret }>;
  /** The key stops working at once. */
  revokeApiKey(tenantUid: string, uid: string): Promise<void>;
}

const defaultProjectName = "Default";

export function tenantDesk(db: Database, clock: Clock): Tenants {
  const self: Tenants = {
    async add(name) {
      const tenantUid = newUid();
      const projectUid = newUid();
      const key = newApiKey();
      const now = clock.now();
      await taken(`a tenant called '${name}' exists already`, () =>
        db.write(async (tx) => {
          await tx.run("INSERT INTO tenants (uid, name, created_at) VALUES (?, ?, ?)", tenantUid, name, now);
          await tx.run(
            "INSERT INTO projects (uid, tenant_uid, name, created_at) VALUES (?, ?, ?, ?)",
            ...[projectUid, tenantUid, defaultProjectName, now],
          );
          await tx.run(
            "INSERT INTO api_keys (uid, tenant_uid, name, hash, created_at) VALUES (?, ?, ?, ?, ?)",
            ...[newUid(), tenantUid, "admin", key.hash, now],
          );
        }),
      );
      return { tenantUid, projectUid, apiKey: key.apiKey };
    },

    async bootstrap(name) {
      const first = await db.get<{ uid: string }>(
        "SELECT uid FROM tenants ORDER BY created_at, rowid LIMIT 1",
      );
      if (!first) return self.add(name);
      return { tenantUid: first.uid, projectUid: await self.defaultProject(first.uid) };
    },

    async identify(apiKey, projectUid) {
      if (!apiKey) {
        throw new Refusal("Unauthorized", "Unauthorized", "no API key: send it in the header ApiKey");
      }
      const found = await db.get<{ tenant_uid: string; project_uid: string | null }>(
        "SELECT tenant_uid, project_uid FROM api_keys WHERE hash = ? AND revoked_at IS NULL",
        hashOf(apiKey),
      );
      if (!found) throw new Refusal("Unauthorized", "Unauthorized", "the API key is unknown or was revoked");
      const { tenant_uid: tenantUid, project_uid: bound } = found;
      if (projectUid === undefined) return { tenantUid, projectUid: bound ?? undefined };
      const project = await db.get(
        "SELECT 1 FROM projects WHERE uid = ? AND tenant_uid = ?",
        projectUid,
        tenantUid,
      );
      if (!project || (bound !== null && bound !== projectUid)) {
        throw new Refusal(
          "Forbidden",
          "Forbidden",
          `the API key has no right to project '${projectUid}' (header ProjectUid)`,
        );
      }
      return { tenantUid, projectUid };
    },

    async defaultProject(tenantUid) {
      const row = await db.get<{ uid: string }>(
        "SELECT uid FROM projects WHERE tenant_uid = ? ORDER BY name <> ?, created_at, rowid LIMIT 1",
        ...[tenantUid, defaultProjectName],
      );
      if (!row) throw notFound("tenant", tenantUid);
      return row.uid;
    },

    async projects(tenantUid) {
      const sql =
        "SELECT uid, name, created_at FROM projects WHERE tenant_uid = ? ORDER BY created_at, rowid";
      const rows = await db.all<{ uid: string; name: string; created_at: number }>(sql, tenantUid);
      return rows.map((r) => ({ uid: r.uid, name: r.name, createdAt: r.created_at }));
    },

    async addProject(tenantUid, name) {
      const uid = newUid();
      await taken(`a project called '${name}' exists already`, () =>
        db.write((tx) =>
          tx.run(
            "INSERT INTO projects (uid, tenant_uid, name, created_at) VALUES (?, ?, ?, ?)",
            ...[uid, tenantUid, name, clock.now()],
          ),
        ),
      );
      return uid;
    },

    async apiKeys(tenantUid) {
      const rows = await db.all<{
        uid: string;
        name: string;
        created_at: number;
        project_uid: string | null;
      }>(
        "SELECT uid, name, created_at, project_uid FROM api_keys WHERE tenant_uid = ? AND revoked_at IS NULL ORDER BY created_at, rowid",
        tenantUid,
      );
      return rows.map((r) => ({
        uid: r.uid,
        name: r.name,
        createdAt: r.created_at,
        projectUid: r.project_uid ?? undefined,
      }));
    },

    async addApiKey(tenantUid, name, projectUid) {
      if (projectUid !== undefined) {
        const project = await db.get(
          "SELECT 1 FROM projects WHERE uid = ? AND tenant_uid = ?",
          projectUid,
          tenantUid,
        );
        if (!project) throw notFound("project", projectUid);
      }
      const uid = newUid();
      const { apiKey, hash } = newApiKey();
      await db.write((tx) =>
        tx.run(
          "INSERT INTO api_keys (uid, tenant_uid, project_uid, name, hash, created_at) VALUES (?, ?, ?, ?, ?, ?)",
          ...[uid, tenantUid, projectUid ?? null, name, hash, clock.now()],
        ),
      );
      return { uid, apiKey };
    },

    async revokeApiKey(tenantUid, uid) {
      const { changes } = await db.write((tx) =>
        tx.run(
          "UPDATE api_keys SET revoked_at = ? WHERE uid = ? AND tenant_uid = ? AND revoked_at IS NULL",
          ...[clock.now(), uid, tenantUid],
        ),
      );
      if (changes === 0) throw notFound("API key", uid);
    },
  };
  return self;
}

function newApiKey(): { apiKey: Secret; hash: string } {
  const text = randomBytes(32).toString("base64url");
  return { apiKey: new Secret(text), hash: hashOf(text) };
}

function hashOf(apiKey: string): string {
  return createHash("sha256").update(apiKey).digest("hex");
}

/** Gives a broken unique constraint the caller's words. */
export async function taken<T>(message: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Error && (error as { code?: unknown }).code === "AlreadyExists") {
      throw new Refusal("AlreadyExists", "DuplicateName", message);
    }
    throw error;
  }
}
