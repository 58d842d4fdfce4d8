// Codes that let a gateway or an agent in, once each.
//
//   N1. Neither code nor token is stored: a row has its one-way id, and the MAC key derived from it, sealed. The key is needed to
//       check a request and to sign the answer (tunnel/identity/proof.ts); the code cannot be computed from either.
//   N2. Redeeming is one transaction: of any number of different requests at once, exactly one claims the code.
//   N3. Time is the injected clock's; what is counted survives a restart.
import { randomBytes } from "node:crypto";
import { Secret, formatTime, type Clock, type Database, type Row, type Transaction } from "#core";
import type { Seal } from "#core/store/seal.ts";
import type { RegisterRequest } from "#proto/messages.ts";
import {
  deriveCodeKeys,
  formatPairingCode,
  pairingCodeBytes,
  parsePairingCode,
  pemDigest,
  requestProof,
  sameProof,
  type Role,
} from "#tunnel/identity/index.ts";
import { afterUnknown, judge, refusal, type CodeSeen, type Verdict } from "./enrolment-rules.ts";
import { Refusal } from "./refusal.ts";

export interface EnrolmentOptions {
  /** How long a pairing code is good, milliseconds; 15 minutes unless told. */
  readonly pairingTtlMs?: number;
  /** Unused pairing codes a tenant may have at a time; 20 unless told. */
  readonly maxLiveCodes?: number;
  /** Window in which an address's unknown codes are counted, and how long it is locked then; 15 minutes unless told. */
  readonly lockMs?: number;
}

export interface Redemption {
  readonly role: Role;
  readonly request: RegisterRequest;
  /** Who asks, for the count of wrong tries. */
  readonly address: string;
  /** Makes or names the holder, inside the transaction (N2); `boundUid` when the code was made for one. */
  claim(tx: Transaction, code: { tenantUid: string; boundUid: string | undefined }): Promise<string>;
}

export interface Redeemed {
  readonly uid: string;
  readonly tenantUid: string;
  readonly macKey: Buffer;
  /** False when an earlier, identical request claimed it. */
  readonly first: boolean;
}

export interface Enrolment {
  newPairingCode(tenantUid: string): Promise<{ code: Secret; expiresAt: number }>;
  /** Ties an unused code of the tenant to a gateway the plane knows already: who redeems it becomes that gateway. */
  bind(code: string, tenantUid: string, uid: string): Promise<void>;
  /** Stores a fresh token for an agent in a transaction of the caller's; it does not expire, it ends with its cluster. */
  addAgentToken(tx: Transaction, tenantUid: string, clusterUid: string): Promise<Secret>;
  /** Forgets a cluster's tokens. */
  dropAgentTokens(tx: Transaction, clusterUid: string): Promise<void>;
  /** Throws a Refusal for anything but a first redemption or its repetition. */
  redeem(attempt: Redemption): Promise<Redeemed>;
  /** Drops what is long over: codes a day after their end, counts of addresses. */
  sweep(): Promise<void>;
}

interface CodeRow extends Row {
  id: string;
  role: Role;
  tenant_uid: string;
  bound_uid: string | null;
  mac_key: Buffer;
  expires_at: number | null;
  wrong: number;
  used_at: number | null;
  used_csr: string | null;
  used_uid: string | null;
}

export function enrolmentDesk(
  deps: { db: Database; seal: Seal; clock: Clock },
  options: EnrolmentOptions = {},
): Enrolment {
  const { db, seal, clock } = deps;
  const { pairingTtlMs = 15 * 60_000, maxLiveCodes = 20, lockMs = 15 * 60_000 } = options;

  const insert = (
    tx: Transaction,
    code: string,
    row: { role: Role; tenantUid: string; boundUid?: string; expiresAt?: number },
  ) => {
    const keys = deriveCodeKeys(code);
    return tx.run(
      "INSERT INTO enrolment_codes (id, role, tenant_uid, bound_uid, mac_key, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
      ...[keys.id, row.role, row.tenantUid, row.boundUid ?? null, seal.seal(keys.macKey, `code ${keys.id}`)], // N1
      ...[clock.now(), row.expiresAt ?? null],
    );
  };

  return {
    async newPairingCode(tenantUid) {
      const code = formatPairingCode(randomBytes(pairingCodeBytes));
      const now = clock.now();
      const expiresAt = now + pairingTtlMs;
      await db.write(async (tx) => {
        const live = await tx.get<{ n: number; next: number | null }>(
          "SELECT count(*) AS n, min(expires_at) AS next FROM enrolment_codes WHERE tenant_uid = ? AND role = 'gateway' AND used_at IS NULL AND expires_at > ?",
          ...[tenantUid, now],
        );
        if (live && live.n >= maxLiveCodes) {
          throw new Refusal(
            "Busy",
            "TooManyPairingCodes",
            `${live.n} unused pairing codes are waiting already; use one of them, or wait until ${formatTime(live.next ?? now)}`,
            { retryAfterMs: Math.max(1000, (live.next ?? now) - now) },
          );
        }
        await insert(tx, code, { role: "gateway", tenantUid, expiresAt });
      });
      return { code: new Secret(code), expiresAt };
    },

    async bind(typed, tenantUid, uid) {
      const { id } = deriveCodeKeys(parsePairingCode(typed));
      const verdict = await db.write(async (tx): Promise<Verdict> => {
        const row = await tx.get<CodeRow>(
          "SELECT * FROM enrolment_codes WHERE id = ? AND tenant_uid = ?",
          id,
          tenantUid,
        );
        const judged = judge(row && seen(row), {
          role: "gateway",
          csrDigest: "",
          proofHolds: true,
          now: clock.now(),
        });
        if (judged.kind === "claim")
          await tx.run("UPDATE enrolment_codes SET bound_uid = ? WHERE id = ?", uid, id);
        return judged;
      });
      if (verdict.kind !== "claim" && verdict.kind !== "again") throw refusal(verdict, "gateway");
    },

    async addAgentToken(tx, tenantUid, clusterUid) {
      const token = randomBytes(32).toString("base64url");
      await insert(tx, token, { role: "agent", tenantUid, boundUid: clusterUid });
      return new Secret(token);
    },

    async dropAgentTokens(tx, clusterUid) {
      await tx.run("DELETE FROM enrolment_codes WHERE role = 'agent' AND bound_uid = ?", clusterUid);
    },

    async redeem({ role, request, address, claim }) {
      const csrDigest = pemDigest(request.csr);
      const outcome = await db.write(async (tx): Promise<{ verdict: Verdict; done?: Redeemed }> => {
        await refuseLocked(tx, address);
        const row = await tx.get<CodeRow>("SELECT * FROM enrolment_codes WHERE id = ?", request.codeId);
        const macKey = row ? Buffer.from(seal.open(row.mac_key, `code ${row.id}`)) : Buffer.alloc(32);
        const proofHolds = sameProof(request.proof, requestProof(macKey, request));
        const verdict = judge(row && seen(row), { role, csrDigest, proofHolds, now: clock.now() });
        if (verdict.kind === "unknown") await countUnknown(tx, address);
        if (!row) return { verdict };
        if (!proofHolds) await tx.run("UPDATE enrolment_codes SET wrong = wrong + 1 WHERE id = ?", row.id);
        const tenantUid = row.tenant_uid;
        if (verdict.kind === "again")
          return { verdict, done: { uid: verdict.uid, tenantUid, macKey, first: false } };
        if (verdict.kind !== "claim") return { verdict };
        const uid = await claim(tx, { tenantUid, boundUid: row.bound_uid ?? undefined });
        await tx.run(
          "UPDATE enrolment_codes SET used_at = ?, used_csr = ?, used_uid = ? WHERE id = ?",
          ...[clock.now(), csrDigest, uid, row.id],
        );
        await tx.run("DELETE FROM wrong_tries WHERE address = ?", address);
        return { verdict, done: { uid, tenantUid, macKey, first: true } };
      });
      if (outcome.done) return outcome.done;
      const { verdict } = outcome;
      if (verdict.kind === "claim" || verdict.kind === "again")
        throw new Refusal("Bug", "Bug", "a claimed code has no holder");
      throw refusal(verdict, role);
    },

    async sweep() {
      const now = clock.now();
      await db.write(async (tx) => {
        await tx.run("DELETE FROM enrolment_codes WHERE expires_at < ?", now - 86_400_000);
        await tx.run("DELETE FROM wrong_tries WHERE since < ? AND locked_until < ?", now - lockMs, now);
      });
    },
  };

  async function refuseLocked(tx: Transaction, address: string): Promise<void> {
    const row = await tx.get<{ locked_until: number }>(
      "SELECT locked_until FROM wrong_tries WHERE address = ?",
      address,
    );
    const left = (row?.locked_until ?? 0) - clock.now();
    if (!row || left <= 0) return;
    throw new Refusal(
      "Busy",
      "TooManyWrongCodes",
      `too many unknown codes came from ${address}; it may try again at ${formatTime(row.locked_until)}`,
      { retryAfterMs: left },
    );
  }

  async function countUnknown(tx: Transaction, address: string): Promise<void> {
    const row = await tx.get<{ count: number; since: number; locked_until: number }>(
      "SELECT count, since, locked_until FROM wrong_tries WHERE address = ?",
      address,
    );
    const old = row && { count: row.count, since: row.since, lockedUntil: row.locked_until };
    const next = afterUnknown(old, clock.now(), lockMs);
    await tx.run(
      "INSERT OR REPLACE INTO wrong_tries (address, count, since, locked_until) VALUES (?, ?, ?, ?)",
      ...[address, next.count, next.since, next.lockedUntil],
    );
  }
}

function seen(row: CodeRow): CodeSeen {
  const { used_at: at, used_csr: csrDigest, used_uid: uid } = row;
  return {
    role: row.role,
    expiresAt: row.expires_at ?? undefined,
    wrong: row.wrong,
    used: at !== null && csrDigest !== null && uid !== null ? { at, csrDigest, uid } : undefined,
  };
}
