import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../time/clock.ts";
import { configMaps, storeContract } from "./contract.ts";
import { sealWith } from "./seal.ts";
import { sqliteStore } from "./sqlite-store.ts";
import type { OwnedStore } from "./store.ts";

storeContract("sqlite", async () => {
  const folder = await mkdtemp(join(tmpdir(), "store-"));
  const seal = sealWith(randomBytes(32));
  const opened: OwnedStore[] = [];
  const open = async () => {
    const store = await sqliteStore(join(folder, "store.db"), {
      clock: systemClock,
      history: 100,
      pollMs: 20,
      seal,
      sealed: ["configmaps"],
    });
    opened.push(store);
    return store;
  };
  const store = await open();
  return {
    store,
    another: open,
    reopen: async () => {
      await store.close();
      return open();
    },
    forget: async () => {
      const fill = (i: number) =>
        store.create(configMaps, { metadata: { name: `filler-${i}`, namespace: "fillers" }, data: {} });
      await Promise.all(Array.from({ length: 600 }, (_, i) => fill(i)));
    },
    close: async () => {
      for (const each of opened) await each.close();
      await rm(folder, { recursive: true });
    },
  };
});
