import { silentLogger } from "../log.ts";
import { systemClock } from "../time/clock.ts";
import { configMaps, gadgets, namespaces, storeContract, widgets, widgetsV2 } from "./contract.ts";
import { kubeStore } from "./kube-store.ts";
import { logStore } from "./log-store.ts";
import { memoryRows } from "./memory-rows.ts";
import { serveStore } from "./serve.ts";
import type { OwnedStore } from "./store.ts";

storeContract(
  "kubernetes, over our own REST face",
  async () => {
    const behind = logStore(memoryRows(100), { clock: systemClock });
    const served = await serveStore(behind, {
      kinds: [widgets, widgetsV2, gadgets, configMaps, namespaces],
      listen: { host: "127.0.0.1", port: 0 },
      log: silentLogger,
      clock: systemClock,
    });
    const opened: OwnedStore[] = [];
    const open = async () => {
      const store = await kubeStore({ server: served.url }, { clock: systemClock });
      opened.push(store);
      return store;
    };
    return {
      store: await open(),
      another: open,
      reopen: open,
      forget: async () => {
        for (let i = 0; i < 600; i++) {
          await behind.create(configMaps, { metadata: { name: `f-${i}`, namespace: "fillers" }, data: {} });
        }
      },
      close: async () => {
        for (const store of opened) await store.close();
        await served.close();
        await behind.close();
      },
    };
  },
  { many: 2000 },
);
