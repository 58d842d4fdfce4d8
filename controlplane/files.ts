// Files that must survive the machine's power cut, or must not be seen by others.
import { open, readFile, rename } from "node:fs/promises";
import { dirname } from "node:path";

/** Puts a file in place as a whole, readable by its owner alone, on the disk when this resolves. */
export async function writeDurably(path: string, text: string): Promise<void> {
  const next = `${path}.next`;
  const file = await open(next, "w", 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(next, path);
  const folder = await open(dirname(path));
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** The text of a file, or undefined where there is none. */
export async function textOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
