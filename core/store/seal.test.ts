import { chmod, mkdtemp, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { defineKind } from "../resource/kind.ts";
import type { Resource } from "../resource/meta.ts";
import { systemClock } from "../time/clock.ts";
import { configMaps, Follower } from "./contract.ts";
import { keyFileSeal, sealWith } from "./seal.ts";
import { sqliteStore } from "./sqlite-store.ts";

let folder: string;
beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), "seal-"))));
afterEach(() => rm(folder, { recursive: true }));

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (sealed: Uint8Array) => new TextDecoder().decode(sealed);

describe("sealing", () => {
  const seal = sealWith(new Uint8Array(32).fill(7));

  test("what was sealed opens, and looks like nothing", () => {
    const sealed = seal.seal(bytes("hunter2"), "a");
    expect(text(seal.open(sealed, "a"))).toBe("hunter2");
    expect(text(sealed)).not.toContain("hunter2");
    expect(seal.seal(bytes("hunter2"), "a")).not.toEqual(sealed);
    expect(text(seal.open(seal.seal(bytes(""))))).toBe("");
  });

  test("a changed bit, another key, another place, a cut: none opens (E3)", () => {
    const sealed = seal.seal(bytes("hunter2"), "a");
    for (let at = 0; at < sealed.length; at++) {
      const changed = Buffer.from(sealed);
      changed[at]! ^= 1;
      expect(() => seal.open(changed, "a"), `byte ${at}`).toThrow(
        expect.objectContaining({ code: "Invalid" }),
      );
    }
    const other = sealWith(new Uint8Array(32).fill(8));
    expect(() => other.open(sealed, "a")).toThrow(/does not open with this key/);
    expect(() => seal.open(sealed, "b")).toThrow(/b does not open/);
    expect(() => seal.open(sealed.subarray(0, 20), "a")).toThrow(/not a sealed value/);
  });

  test("a key of another length is refused", () => {
    expect(() => sealWith(new Uint8Array(16))).toThrow(/32 bytes/);
  });
});

describe("key files", () => {
  test("one is made on first use, for its owner alone, and used from then on (E1)", async () => {
    const path = join(folder, "key");
    const sealed = (await keyFileSeal(path)).seal(bytes("x"));
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    const key = await readFile(path);
    expect(text((await keyFileSeal(path)).open(sealed))).toBe("x");
    expect(await readFile(path)).toEqual(key);
    expect(await readdir(folder)).toEqual(["key"]);
  });

  test("of many who come at once, all have the same key", async () => {
    const path = join(folder, "key");
    const seals = await Promise.all(Array.from({ length: 8 }, () => keyFileSeal(path)));
    const sealed = seals[0]!.seal(bytes("x"));
    for (const seal of seals) expect(text(seal.open(sealed))).toBe("x");
    expect(await readdir(folder)).toEqual(["key"]);
  });

  test("one that others may read is refused, and the remedy told (E2)", async () => {
    const path = join(folder, "key");
    await keyFileSeal(path);
    for (const mode of [0o640, 0o604, 0o660]) {
      await chmod(path, mode);
      await expect(keyFileSeal(path)).rejects.toMatchObject({
        code: "Invalid",
        message: expect.stringContaining(`chmod 600 ${path}`) as string,
      });
    }
  });

  test("what is no key file is refused, and left as it was", async () => {
    const path = join(folder, "key");
    await writeFile(path, "precious\n", { mode: 0o600 });
    await expect(keyFileSeal(path)).rejects.toMatchObject({ code: "Invalid" });
    expect(await readFile(path, "utf8")).toBe("precious\n");
  });

  test("a folder that is not there is told", async () => {
    await expect(keyFileSeal(join(folder, "none", "key"))).rejects.toMatchObject({ code: "Unavailable" });
  });
});

describe("a SQLite store with a seal", () => {
  interface SecretObject extends Resource {
    data?: Record<string, string>;
  }
  const secrets = defineKind<SecretObject>({
    group: "",
    version: "v1",
    kind: "Secret",
    plural: "secrets",
    hasStatus: false,
  });
  const value = "VERY-SECRET-VALUE";

  test("writes no secret to disk in clear, reads them back, and leaves other kinds readable", async () => {
    const path = join(folder, "store.db");
    const seal = await keyFileSeal(join(folder, "key"));
    const store = await sqliteStore(path, { clock: systemClock, seal });
    const metadata = { name: "s", namespace: "n" };
    const made = await store.create(secrets, { metadata, data: { password: value } });
    const next = await store.update(secrets, { ...made, data: { password: `${value}-2` } });
    await store.create(secrets, { metadata: { ...metadata, name: "gone" }, data: { password: value } });
    await store.delete(secrets, { ...metadata, name: "gone" });
    await store.create(configMaps, { metadata, data: { public: "A-PUBLIC-VALUE" } });
    const files = async () =>
      Promise.all((await readdir(folder)).map((file) => readFile(join(folder, file))));
    const while_open = Buffer.concat(await files());
    await store.close();
    const closed = Buffer.concat(await files());
    for (const disk of [while_open, closed]) {
      expect(disk.includes(value)).toBe(false);
      expect(disk.includes("A-PUBLIC-VALUE")).toBe(true);
    }

    const again = await sqliteStore(path, { clock: systemClock, seal });
    expect(await again.get(secrets, metadata)).toEqual(next);
    const events = new Follower((signal) => again.watch(secrets, { after: "1" }, signal), 5000);
    await events.upTo(4);
    await events.stop();
    expect(events.events[1]!.object).toEqual(next);
    await again.close();
  });

  test("opened without its key, or with another, says so when a secret is asked for", async () => {
    const path = join(folder, "store.db");
    const metadata = { name: "s", namespace: "n" };
    const store = await sqliteStore(path, {
      clock: systemClock,
      seal: await keyFileSeal(join(folder, "key")),
    });
    await store.create(secrets, { metadata, data: { password: value } });
    await store.close();
    for (const other of [undefined, await keyFileSeal(join(folder, "another"))]) {
      const again = await sqliteStore(path, { clock: systemClock, ...(other ? { seal: other } : {}) });
      await expect(again.get(secrets, metadata)).rejects.toMatchObject({
        code: "Invalid",
        message: expect.stringMatching(/secrets n\/s .*key/) as string,
      });
      await again.close();
    }
  });

  test("the file of a store is its owner's alone", async () => {
    const path = join(folder, "store.db");
    await (await sqliteStore(path, { clock: systemClock })).close();
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    await expect(sqliteStore(join(folder, "none", "x.db"), { clock: systemClock })).rejects.toMatchObject({
      code: "Unavailable",
      message: expect.stringContaining("none") as string,
    });
  });
});
