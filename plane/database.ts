// The plane's state: one SQLite file. Append migrations, never change one.
import { join } from "node:path";
import { openDatabase, type Database } from "#core";

const migrations = [
  `
  CREATE TABLE tenants (uid TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, created_at INTEGER NOT NULL);
  CREATE TABLE projects (
    uid TEXT PRIMARY KEY, tenant_uid TEXT NOT NULL REFERENCES tenants(uid), name TEXT NOT NULL, created_at INTEGER NOT NULL,
    UNIQUE (tenant_uid, name));
  CREATE TABLE api_keys (
    uid TEXT PRIMARY KEY, tenant_uid TEXT NOT NULL REFERENCES tenants(uid), project_uid TEXT REFERENCES projects(uid),
    name TEXT NOT NULL, hash TEXT NOT NULL UNIQUE, created_at INTEGER NOT NULL, revoked_at INTEGER);

  CREATE TABLE enrolment_codes (
    id TEXT PRIMARY KEY, role TEXT NOT NULL, tenant_uid TEXT NOT NULL REFERENCES tenants(uid),
    bound_uid TEXT, mac_key BLOB NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER,
    wrong INTEGER NOT NULL DEFAULT 0, used_at INTEGER, used_csr TEXT, used_uid TEXT);
  CREATE INDEX enrolment_codes_by_tenant ON enrolment_codes (tenant_uid, role, used_at);
  CREATE TABLE wrong_tries (
    address TEXT PRIMARY KEY, count INTEGER NOT NULL, since INTEGER NOT NULL, locked_until INTEGER NOT NULL DEFAULT 0);
  CREATE TABLE certificates (
    serial TEXT PRIMARY KEY, role TEXT NOT NULL, uid TEXT NOT NULL, tenant_uid TEXT NOT NULL,
    issued_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, revoked_at INTEGER, reason TEXT);
  CREATE INDEX certificates_by_uid ON certificates (role, uid);

  CREATE TABLE overlords (
    uid TEXT PRIMARY KEY, tenant_uid TEXT NOT NULL REFERENCES tenants(uid), name TEXT NOT NULL,
    labels TEXT NOT NULL DEFAULT '{}', annotations TEXT NOT NULL DEFAULT '{}',
    created_at INTEGER NOT NULL, modified_at INTEGER NOT NULL, revoked_at INTEGER, deleted_at INTEGER,
    heartbeat_at INTEGER, heartbeat TEXT, health TEXT NOT NULL DEFAULT 'unknown');
  CREATE INDEX overlords_by_tenant ON overlords (tenant_uid, deleted_at);

  CREATE TABLE clusters (
    uid TEXT PRIMARY KEY, tenant_uid TEXT NOT NULL REFERENCES tenants(uid), project_uid TEXT NOT NULL REFERENCES projects(uid),
    overlord_uid TEXT NOT NULL REFERENCES overlords(uid), name TEXT NOT NULL,
    entity TEXT NOT NULL, spec TEXT NOT NULL, counter INTEGER NOT NULL, enrolment_token BLOB,
    published_gateway INTEGER NOT NULL DEFAULT 0, published_agent INTEGER NOT NULL DEFAULT 0,
    gateway_status TEXT, agent_status TEXT, heartbeat_at INTEGER, heartbeat TEXT,
    created_at INTEGER NOT NULL, modified_at INTEGER NOT NULL, delete_requested_at INTEGER, deleted_at INTEGER);
  CREATE UNIQUE INDEX cluster_names ON clusters (project_uid, name) WHERE deleted_at IS NULL;
  CREATE INDEX clusters_by_tenant ON clusters (tenant_uid, created_at);
  CREATE INDEX clusters_by_overlord ON clusters (overlord_uid, deleted_at);

  CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL, id TEXT NOT NULL,
    subject_kind TEXT NOT NULL, subject TEXT NOT NULL, received_at INTEGER NOT NULL, body TEXT NOT NULL,
    UNIQUE (source, id));
  CREATE INDEX events_by_subject ON events (subject_kind, subject, seq);
  `,
  `ALTER TABLE clusters ADD COLUMN health TEXT NOT NULL DEFAULT 'unknown'`,
  `ALTER TABLE clusters ADD COLUMN delete_forced INTEGER NOT NULL DEFAULT 0`,
];

export function openPlaneDatabase(dataDir: string): Promise<Database> {
  return openDatabase(join(dataDir, "plane.db"), { migrations });
}
