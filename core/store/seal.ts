// Secrets at rest: AES-256-GCM under a key file that only its owner may read.
//
//   E1. The key never leaves its file but into this process; the file is made with mode 0600, once, and never overwritten.
//   E2. A key file that others may read is refused: a key that may have been copied protects nothing.
//   E3. What was sealed for one place does not open at another: the place is authenticated along with the bytes.
//
// A sealed value is: one byte format (1), 12 bytes nonce, 16 bytes tag, ciphertext (NIST SP 800-38D).
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { chmod, link, open, readFile, stat, unlink, type FileHandle } from "node:fs/promises";
import { Fault } from "../fault.ts";

export interface Seal {
  /** `place` must be the same at `open` (E3). */
  seal(bytes: Uint8Array, place?: string): Uint8Array;
  /** Fails with Invalid when the bytes were not sealed with this key for this place. */
  open(bytes: Uint8Array, place?: string): Uint8Array;
}

/** Seals with a key of 32 bytes. */
export function sealWith(key: Uint8Array): Seal {
  if (key.length !== 32) throw new Fault("Invalid", "a sealing key has 32 bytes");
  return {
    seal(bytes, place = "") {
      const nonce = randomBytes(12);
      const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(Buffer.from(place));
      const body = Buffer.concat([cipher.update(bytes), cipher.final()]);
      return Buffer.concat([Buffer.of(1), nonce, cipher.getAuthTag(), body]);
    },
    open(bytes, place = "") {
      const sealed = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      if (sealed.length < 29 || sealed[0] !== 1) throw new Fault("Invalid", "this is not a sealed value");
      try {
        const decipher = createDecipheriv("aes-256-gcm", key, sealed.subarray(1, 13))
          .setAAD(Buffer.from(place))
          .setAuthTag(sealed.subarray(13, 29));
        return Buffer.concat([decipher.update(sealed.subarray(29)), decipher.final()]);
      } catch (cause) {
        throw new Fault(
          "Invalid",
          `${place || "a sealed value"} does not open with this key: is it the key file that belongs to this database?`,
          { cause },
        );
      }
    },
  };
}

/** The seal of a key file, which is made on first use (E1). Invalid when it is not one, or others may read it (E2). */
export async function keyFileSeal(path: string): Promise<Seal> {
  await makeKeyFile(path);
  const { mode } = await stat(path);
  if ((mode & 0o077) !== 0) {
    throw new Fault(
      "Invalid",
      `the key file ${path} may be read by others (mode ${(mode & 0o777).toString(8).padStart(4, "0")}): chmod 600 ${path}`,
    );
  }
  const key = Buffer.from((await readFile(path, "utf8")).trim(), "base64");
  if (key.length !== 32) {
    throw new Fault("Invalid", `${path} is not a key file of this program: it must hold 32 bytes in base64`);
  }
  return sealWith(key);
}

/** Written whole under another name, then linked: whoever comes second finds the first one's key, never half of one. */
async function makeKeyFile(path: string): Promise<void> {
  if (await exists(path)) return;
  const draft = `${path}.${randomBytes(6).toString("hex")}`;
  let file: FileHandle | undefined;
  try {
    file = await open(draft, "wx", 0o600);
    await file.writeFile(`${randomBytes(32).toString("base64")}\n`);
    await file.sync();
    await chmod(draft, 0o600);
    await link(draft, path);
  } catch (cause) {
    if ((cause as { code?: unknown }).code !== "EEXIST") {
      throw new Fault("Unavailable", `making the key file ${path}: ${(cause as Error).message}`, { cause });
    }
  } finally {
    await file?.close();
    await unlink(draft).catch(() => {});
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    (error: unknown) => {
      if ((error as { code?: unknown }).code === "ENOENT") return false;
      throw Fault.from(error, `reading the key file ${path}`);
    },
  );
}
