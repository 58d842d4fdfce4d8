// SHA-256 of files, several at a time, and a memory of those that have not changed since.
import { createHash } from "node:crypto";
import { open, readFile, rename, stat, writeFile } from "node:fs/promises";

/** A file's digest; what is wrong with it when it could not be read. */
export type Digest = { readonly sha256: string } | { readonly unreadable: string };

/** What was known of a file when its digest was computed. All of it changes when another file takes its place. */
interface Seen {
  readonly size: string;
  readonly mtimeNs: string;
  readonly ctimeNs: string;
  readonly inode: string;
  readonly sha256: string;
}

type Memory = Record<string, Seen>;

/** As many as there is any use of: two cores hash, the disk serves. */
const atOnce = 4;

/** The digests of these files, in their order. With a memory file, only what changed since is read. */
export async function digestsOf(paths: readonly string[], memoryFile?: string): Promise<readonly Digest[]> {
  const before = memoryFile ? await recall(memoryFile) : {};
  const after: Memory = {};
  const found = new Array<Digest>(paths.length);
  const queue = paths.map((path, index) => ({ path, index }));
  const work = async () => {
    for (let next = queue.shift(); next; next = queue.shift()) {
      const { path, index } = next;
      try {
        const seen = await look(path, before[path]);
        after[path] = seen;
        found[index] = { sha256: seen.sha256 };
      } catch (error) {
        found[index] = { unreadable: (error as Error).message };
      }
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  if (memoryFile && JSON.stringify(after) !== JSON.stringify(before)) await remember(memoryFile, after);
  return found;
}

async function look(path: string, before: Seen | undefined): Promise<Seen> {
  const { size, mtimeNs, ctimeNs, ino } = await stat(path, { bigint: true });
  const now = {
    size: String(size),
    mtimeNs: String(mtimeNs),
    ctimeNs: String(ctimeNs),
    inode: String(ino),
  };
  const same =
    before?.size === now.size &&
    before.mtimeNs === now.mtimeNs &&
    before.ctimeNs === now.ctimeNs &&
    before.inode === now.inode;
  return { ...now, sha256: same ? before.sha256 : await sha256(path) };
}

async function sha256(path: string): Promise<string> {
  const hash = createHash("sha256");
  const file = await open(path);
  try {
    for await (const chunk of file.createReadStream({ highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  } finally {
    await file.close();
  }
  return hash.digest("hex");
}

/** A memory that cannot be read is none: everything is read again. */
async function recall(memoryFile: string): Promise<Memory> {
  try {
    return JSON.parse(await readFile(memoryFile, "utf8")) as Memory;
  } catch {
    return {};
  }
}

async function remember(memoryFile: string, memory: Memory): Promise<void> {
  const next = `${memoryFile}.next`;
  await writeFile(next, JSON.stringify(memory), { mode: 0o600 });
  await rename(next, memoryFile);
}
