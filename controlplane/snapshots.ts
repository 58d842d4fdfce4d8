// Snapshots of etcd: taken while it runs, checked before they count, few kept.
//
//   D1. A snapshot has its name only when it is whole: written beside, its SHA-256 checked, on the disk, then renamed.
//   D2. One is taken on schedule only when an object changed since the last.
//   D3. The newest `keep` stay. One that is asked for counts like any other.
//   D4. Secrets in it are sealed with the key in `pki/`, which is not in it: keep both, and keep them apart.
import { createHash } from "node:crypto";
import { open, readdir, rename, rm, stat, statfs } from "node:fs/promises";
import { join } from "node:path";
import { Fault, formatTime, type Clock, type Logger } from "#core";
import type { Census, Etcd } from "./etcd.ts";

export interface SnapshotInfo {
  readonly path: string;
  /** Milliseconds since 1970. */
  readonly takenAt: number;
  readonly revision: number;
  /** Objects in it, without events and leases. */
  readonly objects: number;
  readonly bytes: number;
}

/** "2026-11-27T22-30-00Z-r1234-o250.db": when, at which revision, with how many objects. */
export function snapshotName(
  takenAt: number,
  { revision, objects }: Pick<Census, "revision" | "objects">,
): string {
  return `${formatTime(takenAt).replaceAll(":", "-")}-r${revision}-o${objects}.db`;
}

/** What a snapshot's name says; undefined for any other file. */
export function parseSnapshotName(
  name: string,
): Pick<SnapshotInfo, "takenAt" | "revision" | "objects"> | undefined {
  const found = /^(\d{4}-\d\d-\d\dT)(\d\d)-(\d\d)-(\d\dZ)-r(\d+)-o(\d+)\.db$/.exec(name);
  if (!found) return undefined;
  const [, day, hour, minute, second, revision, objects] = found;
  return {
    takenAt: Date.parse(`${day}${hour}:${minute}:${second}`),
    revision: Number(revision),
    objects: Number(objects),
  };
}

/** Those in a folder, the newest first. */
export async function listSnapshots(folder: string): Promise<SnapshotInfo[]> {
  const found = await Promise.all(
    (await readdir(folder)).map(async (name) => {
      const parsed = parseSnapshotName(name);
      const path = join(folder, name);
      return parsed ? [{ path, ...parsed, bytes: (await stat(path)).size }] : [];
    }),
  );
  return found.flat().sort((a, b) => b.takenAt - a.takenAt || b.revision - a.revision);
}

/** How long it is until the next on schedule: a program that is started again and again takes them, too. */
export async function untilDue(folder: string, everyMs: number, now: number): Promise<number> {
  const [last] = await listSnapshots(folder);
  const due = last ? last.takenAt + everyMs - now : everyMs;
  return Math.min(everyMs, Math.max(due, 60_000));
}

/** Whether there is something to save that the last one has not (D2). Pure. */
export function isDue(last: SnapshotInfo | undefined, now: Census): boolean {
  return !last || now.changed > 0 || now.objects !== last.objects;
}

/** Those that are one too many, of a list with the newest first (D3). Pure. */
export function surplus(list: readonly SnapshotInfo[], keep: number): readonly SnapshotInfo[] {
  return list.slice(Math.max(1, keep));
}

export interface SnapshotDeps {
  readonly etcd: Etcd;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface SnapshotPlace {
  readonly folder: string;
  readonly keep: number;
}

/** Takes one now. Unavailable when etcd does not answer, or there is no room: what to do is in the message. */
export async function takeSnapshot(
  { folder, keep }: SnapshotPlace,
  deps: SnapshotDeps,
  signal?: AbortSignal,
): Promise<SnapshotInfo> {
  const { etcd, clock, log } = deps;
  const began = clock.now();
  await roomFor(folder, (await etcd.status(signal)).dbSize);
  const census = await etcd.census(0, signal);
  const partial = join(folder, `${process.pid}.partial`);
  try {
    const bytes = await write(partial, etcd.snapshot(signal));
    await verifySnapshot(partial);
    const path = join(folder, snapshotName(began, census));
    await rename(partial, path); // D1
    await syncFolder(folder);
    const { revision, objects } = census;
    log.info("took a snapshot of etcd", { path, revision, objects, bytes, tookMs: clock.now() - began });
    for (const old of surplus(await listSnapshots(folder), keep)) await rm(old.path, { force: true });
    return { path, takenAt: began, revision, objects, bytes };
  } finally {
    await rm(partial, { force: true });
  }
}

/** Takes one if something changed since the last (D2). */
export async function takeIfDue(
  place: SnapshotPlace,
  deps: SnapshotDeps,
  signal?: AbortSignal,
): Promise<SnapshotInfo | undefined> {
  const [last] = await listSnapshots(place.folder);
  const census = await deps.etcd.census(last?.revision ?? 0, signal);
  return isDue(last, census) ? takeSnapshot(place, deps, signal) : undefined;
}

/** etcd puts the SHA-256 of the database behind it. Invalid when it does not fit. */
export async function verifySnapshot(path: string): Promise<void> {
  const { size } = await stat(path);
  const length = size - 32;
  const broken = (how: string) =>
    new Fault("Invalid", `the snapshot ${path} ${how}: it is damaged or not complete; take another`);
  if (length <= 0 || length % 512 !== 0) throw broken("has no SHA-256 at its end");
  const hash = createHash("sha256");
  const file = await open(path);
  try {
    for await (const chunk of file.createReadStream({ end: length - 1, autoClose: false })) {
      hash.update(chunk as Buffer);
    }
    const { buffer } = await file.read({ buffer: Buffer.alloc(32), position: length });
    if (!buffer.equals(hash.digest())) throw broken("does not have the SHA-256 it should");
  } finally {
    await file.close();
  }
}

/** Half as much again as it will take, so that etcd is not the one who finds the disk full. */
async function roomFor(folder: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  if (free >= bytes * 1.5) return;
  const mib = (value: number) => `${Math.ceil(value / 1024 ** 2)} MiB`;
  throw new Fault(
    "Unavailable",
    `no snapshot was taken: ${folder} has ${mib(free)} free, and it needs ${mib(bytes * 1.5)}; free space on that disk`,
  );
}

async function write(path: string, chunks: AsyncIterable<Buffer>): Promise<number> {
  const file = await open(path, "w", 0o600);
  let bytes = 0;
  try {
    for await (const chunk of chunks) {
      await file.write(chunk);
      bytes += chunk.length;
    }
    await file.sync();
  } finally {
    await file.close();
  }
  return bytes;
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
