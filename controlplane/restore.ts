// etcd's data put back from a snapshot.
//
//   E1. A restore happens beside the present data and takes its place in the end; a crash at any moment leaves the old or the new, never
//       neither, and the next start finishes what was decided.
//   E2. Revisions jump ahead and everything before is compacted: whoever watches is told Gone and lists again, instead of believing that
//       what he saw after the snapshot still is.
//   E3. What was there is kept, once, in `etcd.before`.
//   E4. A data directory that had data and has none now is not begun anew in silence: it is restored, or said to be lost.
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { Fault, type Clock, type Logger } from "#core";
import type { Bundle } from "./bundle.ts";
import { writeDurably } from "./files.ts";
import { settleFolders, type Layout } from "./layout.ts";
import { takeLock } from "./lock.ts";
import { endOrphans } from "./orphans.ts";
import { peerUrl } from "./recipes.ts";
import { listSnapshots, verifySnapshot, type SnapshotInfo } from "./snapshots.ts";

export interface RestoreOptions {
  readonly dataDir: string;
  readonly bundle: Bundle;
  /** The snapshot; the newest good one in the data directory unless told. */
  readonly file?: string;
}

/** What upstream advises: more writes than there can have been since the snapshot. */
const jump = 1_000_000_000;

/** Where the pieces of a restore lie; `done` is the decision (E1). */
const pieces = (layout: Layout) => ({
  next: `${layout.etcd}.next`,
  before: `${layout.etcd}.before`,
  done: `${layout.etcd}.restored`,
});

/**
 * Puts the snapshot in the place of etcd's data. The control plane must not run: Busy when it does. Invalid when there is no snapshot, or
 * the one that was named is damaged.
 */
export async function restoreControlPlane(
  { dataDir, bundle, file }: RestoreOptions,
  deps: { readonly clock: Clock; readonly log: Logger },
  signal: AbortSignal,
): Promise<{ readonly from: string; readonly snapshot?: SnapshotInfo }> {
  const layout = await settleFolders(dataDir);
  const release = await takeLock(layout.lock, deps, 1_000, signal);
  try {
    await endOrphans(layout.dataDir, deps, signal);
    await finishRestore(layout);
    const known = await listSnapshots(layout.snapshots);
    const from = file ?? (await newestGood(known, deps.log))?.path;
    if (from === undefined) {
      throw new Fault("Invalid", `there is no good snapshot in ${layout.snapshots}: name one with --file`);
    }
    await verifySnapshot(from);
    const { next, done } = pieces(layout);
    await rm(next, { recursive: true, force: true });
    await unpack(bundle.programs.etcdutl.path, from, next);
    await writeDurably(done, `${JSON.stringify({ from, at: deps.clock.now() })}\n`); // E1
    await finishRestore(layout);
    const snapshot = known.find(({ path }) => path === from);
    deps.log.info("restored etcd's data", { from, revision: snapshot?.revision, objects: snapshot?.objects });
    return { from, ...(snapshot ? { snapshot } : {}) };
  } finally {
    await release();
  }
}

/** Finishes a restore that was decided (E1); does nothing otherwise. */
export async function finishRestore(layout: Layout): Promise<void> {
  const { next, before, done } = pieces(layout);
  if (!existsSync(done)) return;
  await rm(layout.versions, { force: true }); // those of the data that goes (upgrade.ts, U4)
  if (existsSync(next)) {
    await rm(before, { recursive: true, force: true });
    if (existsSync(layout.etcd)) await rename(layout.etcd, before); // E3
    await rename(next, layout.etcd);
  }
  await rm(done, { force: true });
}

/** E4. `begun` says that this data directory had data once. */
export async function expectData(layout: Layout): Promise<void> {
  const data = existsSync(join(layout.etcd, "member"));
  if (data || !existsSync(layout.begun)) return;
  const [last] = await listSnapshots(layout.snapshots);
  const found = last
    ? `the last snapshot is of ${new Date(last.takenAt).toISOString()}: put it back with \`pcg controlplane restore\``
    : "and there is no snapshot";
  throw new Fault(
    "Invalid",
    `etcd's data in ${layout.etcd} is gone, ${found}. To begin with nothing, remove ${layout.begun} first.`,
  );
}

async function newestGood(known: readonly SnapshotInfo[], log: Logger): Promise<SnapshotInfo | undefined> {
  for (const each of known) {
    try {
      await verifySnapshot(each.path);
      return each;
    } catch (error) {
      log.warn("passing over a damaged snapshot", { path: each.path, error: Fault.from(error) });
    }
  }
  return undefined;
}

/** E2 */
async function unpack(etcdutl: string, from: string, to: string): Promise<void> {
  const args = [
    "snapshot",
    "restore",
    from,
    `--data-dir=${to}`,
    "--name=pcg",
    `--initial-cluster=pcg=${peerUrl}`,
    `--initial-advertise-peer-urls=${peerUrl}`,
    `--bump-revision=${jump}`,
    "--mark-compacted",
  ];
  try {
    await promisify(execFile)(etcdutl, args, { maxBuffer: 1 << 24 });
  } catch (error) {
    const { stderr = "", message } = error as Error & { stderr?: string };
    const last = stderr.trim().split("\n").at(-1) ?? message;
    throw new Fault("Unavailable", `restoring ${from}: etcdutl said: ${last}`, { cause: error });
  }
}
