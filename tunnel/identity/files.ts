// Small secret files: mode 0600, replaced whole or not at all.
import { chmod, mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { Fault } from "#core";

/** Writes a file of mode 0600; after a crash it holds the old text or the new, never a mixture. Makes missing folders (0700). */
export async function writeSecretFile(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = `${path}.new`;
  const file = await open(temporary, "w", 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await chmod(temporary, 0o600); // the file may have been there with a wider mode
  await rename(temporary, path);
  const folder = await open(dirname(path), "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** The text of a file; undefined when there is none. */
export async function readSecretFile(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new Fault("Unavailable", `reading ${path}: ${(error as Error).message}`, { cause: error });
  }
}

export async function removeFile(path: string): Promise<void> {
  await rm(path, { force: true });
}
