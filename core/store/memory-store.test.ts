import { systemClock } from "../time/clock.ts";
import { configMaps, storeContract } from "./contract.ts";
import { logStore } from "./log-store.ts";
import { memoryRows } from "./memory-rows.ts";

storeContract("memory", async () => {
  const rows = memoryRows(100);
  const open = () => logStore(rows, { clock: systemClock });
  const store = open();
  return {
    store,
    another: async () => open(),
    forget: async () => {
      for (let i = 0; i < 600; i++) {
        await store.create(configMaps, { metadata: { name: `filler-${i}`, namespace: "fillers" }, data: {} });
      }
    },
    close: () => store.close(),
  };
});
