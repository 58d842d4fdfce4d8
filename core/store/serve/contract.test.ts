// The store contract over the whole way: Kubernetes store, HTTP, this face, memory store.
import { systemClock } from "../../time/clock.ts";
import { configMaps, storeContract } from "../contract.ts";
import { kubeStore } from "../kube-store.ts";
import { logStore } from "../log-store.ts";
import { memoryRows } from "../memory-rows.ts";
import type { OwnedStore } from "../store.ts";
import { serve } from "./testing.ts";

storeContract("Kubernetes store on our REST face", async () => {
  const opened: OwnedStore[] = [];
  const kept = <T extends OwnedStore>(store: T): T => {
    opened.push(store);
    return store;
  };
  const behind = kept(logStore(memoryRows(200), { clock: systemClock }));
  const served = await serve(behind);
  const open = async () => kept(await kubeStore({ server: served.url }, { clock: systemClock }));
  return {
    store: await open(),
    another: open,
    reopen: open,
    forget: async () => {
      for (let i = 0; i < 1500; i++) {
        await behind.create(configMaps, {
          metadata: { name: `filler-${i}`, namespace: "fillers" },
          data: {},
        });
      }
    },
    close: async () => {
      for (const store of opened.slice(1)) await store.close();
      await served.close();
      await behind.close();
    },
  };
});
