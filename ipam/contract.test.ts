import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock, type OwnedStore } from "#core";
import { memoryStore } from "#core/store/memory-store.ts";
import { sqliteStore } from "#core/store/sqlite-store.ts";
import { ipamContract } from "./contract.ts";

ipamContract("a memory store", () => {
  const store = memoryStore({ clock: systemClock });
  return Promise.resolve({ store, another: () => Promise.resolve(store), close: () => store.close() });
});

ipamContract("an SQLite store with two connections", async () => {
  const folder = await mkdtemp(join(tmpdir(), "ipam-"));
  const opened: OwnedStore[] = [];
  const another = async () => {
    const store = await sqliteStore(join(folder, "store.db"), { clock: systemClock, pollMs: 20 });
    opened.push(store);
    return store;
  };
  return {
    store: await another(),
    another,
    close: async () => {
      for (const store of opened) await store.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
});
